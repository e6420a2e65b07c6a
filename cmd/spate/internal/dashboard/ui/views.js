// Which view is shown: the one that the address names, of those that its reader may see.

export class Views {
  // views: by name, each {show(), hide()} or nothing.
  constructor(nav, views) {
    this.links = [...nav.querySelectorAll("a")];
    this.views = views;
    this.current = "";
    this.has = new Set();
    addEventListener("hashchange", () => this.choose());
  }

  // allow says what the reader has of what views need: "admin", "push", "cluster", "demo".
  allow(has) {
    this.has = has;
    for (const a of this.links) a.hidden = !this.mayShow(a);
    this.choose();
  }

  mayShow({ dataset: { needs } }) {
    return !needs || this.has.has(needs);
  }

  choose() {
    const shown = this.links.filter((a) => this.mayShow(a));
    const link = shown.find((a) => a.hash === location.hash) || shown[0];
    const name = link.hash.slice(1);
    if (name === this.current) return;
    this.views[this.current]?.hide?.();
    this.current = name;
    for (const a of this.links) {
      if (a === link) a.setAttribute("aria-current", "page");
      else a.removeAttribute("aria-current");
    }
    for (const section of document.querySelectorAll("[data-view]")) section.hidden = section.dataset.view !== name;
    this.views[name]?.show?.();
  }
}
