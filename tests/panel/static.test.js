// Only status.json: the panel from a real nginx with contrib/nginx/static.conf, and the widget inside a foreign page.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import {after, before, test} from 'node:test';
import {launch, open} from './browser.js';
import {Fleet, PANEL, site, staticServer, until} from './fleet.js';

let fleet, server, browser;
before(async () => {
  fleet = new Fleet();
  fleet.write(`
[policy.default]
backoff = { initial = "20s", max = "20s", jitter = 0.0 }
[unit.web]
name = "Storefront"
group = "web"
command = ["/bin/sleep", "10000"]
check.there = { type = "exec", command = ["/bin/true"], interval = "2s" }
[unit.mailer]
name = "Mailer"
command = ["/bin/sleep", "10000"]
`, {interval: '1s'});
  await fleet.start();
  server = await staticServer(fleet.dir, path.join(fleet.dir, 'web'));
  browser = await launch();
  await fleet.healthy('web', 'mailer');
});
after(async () => {
  await browser?.close();
  await server?.close();
  await fleet?.close();
});
const text = (page, where = '#main') => page.locator(where).innerText();
const shows = (page, pattern, where) => until(async () => pattern.test(await text(page, where)), `${pattern} on the page`, 40);

test('nginx sends the policy and the types that the panel needs', async () => {
  const page = await fetch(server.url), script = await fetch(server.url + 'main.js'), status = await fetch(server.url + 'status.json');
  assert.match(page.headers.get('content-security-policy'), /default-src 'none'.*require-trusted-types-for 'script'/);
  assert.match(script.headers.get('content-type'), /javascript/);
  assert.match(status.headers.get('content-type'), /json/);
  assert.equal(status.headers.get('cache-control'), 'no-cache');
  assert.equal((await fetch(server.url, {method: 'POST'})).status, 403);
});

test('with only status.json: facts, no actions, no logs, and a change comes by itself', async () => {
  const page = await open(browser, server.url);
  await shows(page, /All 2 services are healthy/);
  assert.equal(await text(page, '.top .chip'), 'static');
  assert.deepEqual(await page.locator('.nav a').allInnerTexts(), ['Overview', 'Alerts']);
  assert.equal(await page.locator('.acts .btn, .again').count(), 0);
  await page.goto(server.url + '#/s/web');
  await shows(page, /come from the keepwell API/);
  assert.match(await text(page, '.checks'), /Passed/);
  assert.equal(await page.locator('.acts').count(), 0);
  await page.goto(server.url + '#/logs');
  await shows(page, /needs the keepwell API/);
  await page.goto(server.url + '#/alerts');
  await shows(page, /Alerts/);
  await page.goto(server.url + '#/');
  await shows(page, /healthy/);
  process.kill(fleet.unit('web').pid, 'SIGKILL');
  await shows(page, /1 service down/);
  assert.match(await text(page, '.prob[data-key="web"] .timer'), /next try\s+\d+ s/);
  assert.deepEqual(await page.done(), []);
});

test('no status.json: the error says so and what to type; the file appears and so does the page', async () => {
  const folder = fs.mkdtempSync(path.join(fleet.dir, 'empty-'));
  fs.chmodSync(folder, 0o755);
  const other = await staticServer(fleet.dir, folder);
  try {
    const page = await open(browser, other.url);
    await shows(page, /No status to show/);
    assert.match(await text(page, 'pre'), /keepwell status/);
    fs.copyFileSync(fleet.statusFile, path.join(folder, 'status.json'));
    await shows(page, /Storefront/);
    await page.done();
  } finally {
    await other.close();
  }
});

test('an old file: silent since its own time, whatever the clock of the page says', async () => {
  const folder = fs.mkdtempSync(path.join(fleet.dir, 'old-')), old = fleet.status();
  fs.chmodSync(folder, 0o755);
  old.generated_at = old.timestamp = new Date(Date.now() - 600e3).toISOString();
  fs.writeFileSync(path.join(folder, 'status.json'), JSON.stringify(old));
  const other = await staticServer(fleet.dir, folder);
  try {
    const page = await open(browser, other.url, {init: () => { const now = Date.now; Date.now = () => now() - 3600e3; }});
    await shows(page, /Monitor silent since/, '#banner');
    await shows(page, /data is 10 m/, '#banner');
    assert.match(await text(page, 'h1'), /^Last known/);
    await page.done();
  } finally {
    await other.close();
  }
});

test('an empty fleet says what to type', async () => {
  const folder = fs.mkdtempSync(path.join(fleet.dir, 'none-')), doc = fleet.status();
  fs.chmodSync(folder, 0o755);
  fs.writeFileSync(path.join(folder, 'status.json'), JSON.stringify({...doc, services: {}, reasons: []}));
  const other = await staticServer(fleet.dir, folder);
  try {
    const page = await open(browser, other.url);
    await shows(page, /No services yet/);
    const example = await text(page, 'pre');
    assert.match(example, /keepwell reload/);
    assert.match(fleet.cli('validate', '-c', fleet.file('example.toml', example)), /valid: 1 unit, 1 check/);
    assert.deepEqual(await page.done(), []);
  } finally {
    await other.close();
  }
});

test('the widget in a foreign page: cards, last checked, refresh; neither page nor cards change each other', async () => {
  const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; require-trusted-types-for 'script'";
  const types = {'.js': 'application/javascript', '.css': 'text/css', '.svg': 'image/svg+xml'}, pages = {};
  for (const name of fs.readdirSync(PANEL)) if (types[path.extname(name)]) pages['/keepwell/' + name] = [types[path.extname(name)], fs.readFileSync(path.join(PANEL, name))];
  pages['/keepwell/status.json'] = (request, response) => { response.writeHead(200, {'Content-Type': 'application/json'}); response.end(fs.readFileSync(fleet.statusFile)); };
  pages['/admin.css'] = ['text/css', 'body{font:20px serif;color:rgb(1,2,3)} p,li,a,button{color:rgb(255,0,0)!important;font-size:40px!important} .kw-card{display:none}'];
  pages['/'] = (request, response) => {
    response.writeHead(200, {'Content-Type': 'text/html', 'Content-Security-Policy': csp});
    response.end('<!doctype html><title>Admin</title><link rel=stylesheet href=/admin.css><h1>Admin</h1><p id=own>own</p><div data-keepwell="/keepwell/"></div><div data-keepwell data-services="mailer" data-theme="dark"></div><script type="module" src="/keepwell/widget.js"></script>');
  };
  const admin = await site(pages);
  try {
    const page = await open(browser, admin.url);
    const cards = page.locator('[data-keepwell]').first().locator('.kw-card');
    await cards.first().waitFor();
    assert.equal(await cards.count(), 2);
    assert.equal(await page.locator('[data-keepwell]').nth(1).locator('.kw-card').count(), 1);
    for (const card of await cards.all()) {
      assert.match(await card.innerText(), /(last checked|seen) \d/);
      assert.equal(await card.getByRole('button', {name: /^Refresh/}).count(), 1);
    }
    assert.equal(await cards.first().locator('a').evaluate((a) => getComputedStyle(a).fontSize), '14px');
    assert.equal(await page.locator('#own').evaluate((p) => getComputedStyle(p).fontSize), '40px');
    let asked = 0;
    page.on('request', (request) => { if (request.url().endsWith('status.json')) asked++; });
    await cards.first().getByRole('button', {name: /^Refresh/}).click();
    await until(() => asked > 0, 'a reading');
    assert.deepEqual(await page.done(), []);
  } finally {
    await admin.close();
  }
});
