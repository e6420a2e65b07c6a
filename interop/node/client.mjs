// Runs one client library against a stream and writes what it hands out, a JSON line for each event.
// usage: node client.mjs eventsource|fetch-event-source URL
import { EventSource } from 'eventsource';

const [library, url] = process.argv.slice(2);
const tell = (e) => process.stdout.write(JSON.stringify(e) + '\n');
const handOut = (e) => tell({ id: e.lastEventId ?? e.id, type: e.type ?? e.event ?? '', data: e.data });

const libraries = {
  eventsource() {
    const source = new EventSource(url);
    source.onopen = () => tell({ open: true });
    for (const type of ['message', 'tick']) source.addEventListener(type, handOut);
  },
  async 'fetch-event-source'() {
    // The library is written for pages.
    globalThis.window = globalThis;
    globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
    const { fetchEventSource } = await import('@microsoft/fetch-event-source');
    await fetchEventSource(url, {
      openWhenHidden: true,
      async onopen(response) {
        if (!response.ok) throw new Error(`status ${response.status}`);
        tell({ open: true });
      },
      onmessage: handOut,
      onclose() { tell({ closed: true }); }, // an orderly end: the library does not come back by itself
      onerror(err) { console.error(String(err), String(err.cause)); return 200; }, // milliseconds until the next try
    });
  },
};
await libraries[library]();
