// axe on every page in both themes and on a phone: nothing serious, nothing critical. And no page is wider than its screen.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import {after, before, test} from 'node:test';
import {axeSource, launch, open} from './browser.js';
import {Fleet, freePort, panelOf, until} from './fleet.js';

let fleet, server, browser;
before(async () => {
  fleet = await Fleet.listening();
  const port = await freePort();
  fleet.write(`
[policy.default]
backoff = { initial = "60s", max = "60s", jitter = 0.0 }
[unit.web]
name = "Storefront"
group = "web"
description = "Customer pages"
command = ${fleet.victim('web', '--http', port, '--rate', '1')}
check.http = { url = "http://127.0.0.1:${port}/", interval = "1s", slow = "1s" }
[unit.ghost]
name = "Ghost Runner"
group = "workers"
command = ["/bin/sh", "-c", "echo cannot connect; exit 3"]
[unit.reindex]
group = "workers"
requires = ["ghost"]
command = ["/bin/sleep", "10000"]
[unit.queue]
group = "workers"
command = ["/bin/sleep", "10000"]
check.depth = { type = "exec", command = ["/bin/sh", "-c", "echo 1204 jobs wait; exit 1"], effect = "degraded", heals = false, interval = "1s" }
[unit.spare]
group = "workers"
autostart = false
command = ["/bin/sleep", "10000"]
`);
  await fleet.start();
  server = await panelOf(fleet);
  browser = await launch();
  await fleet.healthy('web');
  fleet.cli('pause', 'queue', '--for', '1h');
  await until(() => fleet.unit('queue').paused && fleet.unit('ghost').health.status === 'down', 'trouble to show');
});
after(async () => {
  await browser?.close();
  await server?.close();
  await fleet?.close();
});

const PAGES = ['#/', '#/?q=nothing', '#/s/web', '#/s/ghost', '#/s/reindex', '#/logs', '#/history', '#/history/web', '#/alerts', '#/fleet', '#/login', '#/nowhere'];
for (const [theme, width] of [['light', 1440], ['dark', 1440], ['light', 360], ['dark', 768]]) {
  test(`axe: ${theme}, ${width} px`, async () => {
    const page = await open(browser, server.url, {colorScheme: theme, viewport: {width, height: 900}}), found = [];
    await page.evaluate(fs.readFileSync(axeSource(), 'utf8'));
    for (const hash of PAGES) {
      await page.evaluate((x) => { location.hash = x; }, hash);
      await until(async () => (await page.locator('h1').count()) === 1 && (await page.locator('.sk').count()) === 0 && page.url().endsWith(hash), hash);
      const answer = await page.evaluate(() => window.axe.run(document, {resultTypes: ['violations']}));
      for (const v of answer.violations) if (['serious', 'critical'].includes(v.impact)) found.push(`${hash}: ${v.id} (${v.impact}) ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + ' ' + (n.any[0]?.message || n.all[0]?.message || '')).join(' | ')}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) found.push(`${hash}: ${wide} px wide on a screen of ${width}`);
      if (width === 360) found.push(...await page.evaluate((x) => [...document.querySelectorAll('button, a.btn, summary, select, input')].filter((el) => {
        const box = el.getBoundingClientRect();
        return box.width > 0 && getComputedStyle(el).visibility !== 'hidden' && (box.height < 24 || box.width < 24);
      }).map((el) => `${x}: a target of less than 24 px: ${el.outerHTML.slice(0, 120)}`), hash));
    }
    assert.deepEqual(found, []);
    assert.deepEqual(await page.done(), []);
  });
}

test('axe finds what is wrong, were it there', async () => {
  const page = await open(browser, server.url);
  await until(async () => (await page.locator('.row').count()) > 0, 'rows');
  await page.evaluate(fs.readFileSync(axeSource(), 'utf8'));
  // A reading that comes meanwhile puts the name back.
  await until(() => page.evaluate(async () => {
    document.querySelector('.tally button').replaceChildren();
    const answer = await window.axe.run(document, {resultTypes: ['violations']});
    return answer.violations.some((v) => v.id === 'button-name');
  }), 'a button without a name to be found');
  await page.done();
});
