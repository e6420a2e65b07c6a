// Opens a page of the hub in a browser, follows the stream there by the browser's own EventSource, and writes what it
// hands out, a JSON line for each event.
// usage: node browser.mjs chrome|firefox EXECUTABLE PAGE QUERY
import puppeteer from 'puppeteer-core';

const [browser, executablePath, page, query] = process.argv.slice(2);
const launched = await puppeteer.launch({
  browser,
  executablePath,
  headless: true,
  args: browser === 'chrome' ? ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'] : [],
});
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, async () => { await launched.close(); process.exit(0); });
}
const tab = await launched.newPage();
tab.on('console', (message) => {
  const text = message.text();
  if (text.startsWith('interop ')) process.stdout.write(text.slice('interop '.length) + '\n');
});
await tab.goto(page);
await tab.evaluate((url) => {
  const tell = (e) => console.log('interop ' + JSON.stringify(e));
  const source = new EventSource(url);
  source.onopen = () => tell({ open: true });
  for (const type of ['message', 'tick']) {
    source.addEventListener(type, (e) => tell({ id: e.lastEventId, type: e.type, data: e.data }));
  }
  window.source = source;
}, '/events' + query);
