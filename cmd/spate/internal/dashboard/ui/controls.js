// The buttons of the head and of the list, and the theme.

const NAMES = ["text", "muted", "grid", "card", "away", "teal", "blue", "amber", "pink", "red"];
let colors = null;

// palette is the theme's colours and font for the charts, from the style sheet.
export function palette() {
  if (colors) return colors;
  const style = getComputedStyle(document.documentElement);
  colors = { font: "12px " + style.getPropertyValue("--mono") };
  for (const name of NAMES) colors[name] = style.getPropertyValue("--" + name).trim();
  return colors;
}

// controls wires the page's buttons up. It returns {seconds}: how much time the charts show, which changes.
export function controls({ log, follow }) {
  const look = { seconds: 60 };
  segments("window", (s) => {
    look.seconds = Number(s);
  });
  segments("show", (show) => log.filter(show));
  const pause = document.getElementById("pause");
  pause.addEventListener("click", () => {
    log.pause(!log.paused);
    pause.textContent = log.paused ? "Go on" : "Pause";
  });
  document.getElementById("follow").addEventListener("submit", (e) => {
    e.preventDefault();
    const { uid, topics } = e.target.elements;
    follow(uid.value, topics.value);
  });
  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => log.match(...["type", "text", "user"].map((name) => filter.elements[name].value.trim())));
  filter.addEventListener("submit", (e) => e.preventDefault());
  theme();
  return look;
}

function segments(attribute, choose) {
  const buttons = [...document.querySelectorAll(`[data-${attribute}]`)];
  for (const b of buttons) {
    b.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === b));
      choose(b.dataset[attribute]);
    });
  }
}

function theme() {
  const root = document.documentElement.dataset;
  const kept = storage((s) => s.getItem("theme"));
  if (kept === "dark" || kept === "light") root.theme = kept;
  colors = null;
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.theme || (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
    root.theme = now === "dark" ? "light" : "dark";
    storage((s) => s.setItem("theme", root.theme));
    colors = null;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colors = null;
  });
}

// storage: a browser may refuse it, and the page works without.
function storage(use) {
  try {
    return use(localStorage);
  } catch {
    return null;
  }
}
