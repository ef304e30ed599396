// The panel that keepwell serves itself: login and what a token allows, nginx in front of it, and what a page of another
// origin gets, which is nothing.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {launch, open} from './browser.js';
import {Fleet, Nginx, panelOf, proxyServer, site, until} from './fleet.js';

let fleet, panel, browser;
before(async () => {
  fleet = await Fleet.listening();
  fleet.write(`
[unit.web]
name = "Storefront"
command = ["/bin/sh", "-c", "while :; do echo '<b>secret line</b>'; sleep 1; done"]
`);
  await fleet.start();
  panel = panelOf(fleet);
  browser = await launch(['--host-resolver-rules=MAP rebound.example 127.0.0.1']);
  await fleet.healthy('web');
});
after(async () => {
  await browser?.close();
  panel?.close();
  await fleet?.close();
});
const text = (page, where = '#main') => page.locator(where).innerText();
const shows = (page, pattern, where) => until(async () => pattern.test(await text(page, where)), `${pattern} on the page`, 30).catch(async (error) => { throw new Error(`${error.message}\n${await text(page, where).catch(() => '')}`); });

test('every file of the panel is served, packed, with the policy and an ETag', async () => {
  const index = await fetch(fleet.url), html = await index.text();
  for (const [, name] of html.matchAll(/(?:href|src)="([\w.]+)"/g)) {
    const answer = await fetch(fleet.url + name);
    assert.equal(answer.status, 200, name);
    assert.match(answer.headers.get('content-security-policy'), /default-src 'none'.*frame-ancestors 'none'.*require-trusted-types-for 'script'/, name);
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    assert.equal((await fetch(fleet.url + name, {headers: {'If-None-Match': answer.headers.get('etag')}})).status, 304, name);
  }
  assert.equal((await fetch(fleet.url + 'main.js')).headers.get('content-encoding'), 'gzip');
});

test('who has no token sees and may do nothing; a wrong one is told so; a right one opens logs and actions', async () => {
  const page = await open(browser, fleet.url, {anonymous: true});
  await shows(page, /Storefront/);
  assert.match(await text(page, '#top'), /read only/);
  assert.equal(await page.getByRole('button', {name: /Restart|Pause/}).count(), 0);
  await page.locator('.nav a', {hasText: 'Logs'}).click();
  await shows(page, /Logs need a token/);
  await page.goto(fleet.url + '#/login');
  await page.getByLabel('Token').fill('kw_wrong');
  await page.getByRole('button', {name: 'Log in'}).click();
  await shows(page, /not known/);
  await page.getByLabel('Token').fill(fleet.token('ana', 'read,logs,control'));
  await page.getByRole('button', {name: 'Log in'}).click();
  await shows(page, /Services/);
  await page.goto(fleet.url + '#/s/web');
  await page.getByRole('button', {name: 'Restart'}).waitFor();
  await shows(page, /<b>secret line<\/b>/);
  assert.equal(await page.evaluate(() => document.cookie), '', 'scripts cannot read the session');
  await page.reload();
  await page.getByRole('button', {name: 'Restart'}).waitFor();
  await page.getByRole('button', {name: 'Log out'}).click();
  await until(async () => (await page.getByRole('button', {name: 'Restart'}).count()) === 0, 'the buttons to go');
  assert.deepEqual(await page.done(), []);
});

test('a revoked token: the page goes back to what everybody may', async () => {
  const page = await open(browser, fleet.url, {anonymous: true});
  const token = fleet.token('brief', 'read,logs,control');
  await page.goto(fleet.url + '#/login');
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', {name: 'Log in'}).click();
  await shows(page, /Services/);
  fleet.cli('token', 'revoke', 'brief', '-c', `${fleet.dir}/keepwell.toml`);
  await until(async () => !(await page.evaluate(() => fetch('api/session').then((r) => r.json()))).name, 'the end of the session'); // tokens are looked at once a second
  // The first question that is refused, of the log lines on this page, takes the buttons away: nothing is loaded anew.
  await page.evaluate(() => { window.sameDocument = true; location.hash = '#/s/web'; });
  await page.getByRole('link', {name: 'Log in'}).waitFor();
  assert.ok(await page.evaluate(() => window.sameDocument));
  await until(async () => /read only/.test(await text(page, '#top')), 'read only');
  assert.equal(await page.getByRole('button', {name: /Restart|Pause/}).count(), 0);
  await page.done();
});

test('logs: lines come, filters ask the server, pause holds, older and download are there', async () => {
  const page = await open(browser, fleet.url + '#/logs?unit=web');
  await page.locator('.log li .m').first().waitFor();
  const count = () => page.locator('.log li').count(), first = await count();
  await until(async () => (await count()) > first + 1, 'new lines');
  await page.getByRole('button', {name: 'Pause'}).click();
  await shows(page, /new lines?, jump to the end/);
  const held = await count();
  await page.locator('.newpill').click();
  await until(async () => (await count()) > held, 'the held lines');
  const texts = await page.locator('.log li').evaluateAll((all) => all.map((li) => li.querySelector('time')?.dateTime));
  assert.deepEqual(texts, [...texts].sort(), 'in order');
  assert.equal(new Set(texts).size, texts.length, 'none twice');
  await page.locator('.q').fill('secret');
  await page.locator('.log mark').first().waitFor();
  await page.locator('.q').fill('no such text');
  await shows(page, /No line matches/);
  await page.locator('.q').fill('sec[r');
  await page.getByRole('button', {name: 'Regular expression'}).click();
  await shows(page, /regular expression/i);
  await page.locator('.q').fill('sec[r]et');
  await page.locator('.log mark').first().waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', {name: 'Download'}).click()]);
  assert.match(download.suggestedFilename(), /\.log$/);
  assert.deepEqual(await page.done(), []);
});

test('a rebound host name, a foreign page, a forged change: nothing', async () => {
  const before = fleet.unit('web').restarts.total, pid = fleet.unit('web').pid;
  const hostile = await site({'/': ['text/html', `<!doctype html><title>hostile</title><form id=f method=post action="${fleet.url}api/services/web/restart" enctype="text/plain"><input name='{"a":"' value='"}'></form>`]});
  try {
    const page = await open(browser, hostile.url, {anonymous: true}), api = fleet.url + 'api/';
    // The victim of it is logged in.
    await page.context().request.post(api + 'login', {data: {token: fleet.token('victim', 'read,logs,control')}, headers: {'X-Keepwell-Request': '1'}});
    const answers = await page.evaluate(async (base) => {
      const get = (path, options) => fetch(base + path, {credentials: 'include', ...options}).then(async (r) => `${r.type} ${r.status} ${(await r.text()).length}`, (e) => e.name);
      const json = {'Content-Type': 'application/json', 'X-Keepwell-Request': '1'};
      return {
        read: await get('status'), logs: await get('logs?type=web'),
        post: await get('services/web/restart', {method: 'POST', headers: json, body: '{}'}),
        simple: await get('services/web/restart', {method: 'POST', mode: 'no-cors', headers: {'Content-Type': 'text/plain'}, body: '{}'}),
        stream: await new Promise((resolve) => { const s = new EventSource(base + 'events/stream', {withCredentials: true}); s.onerror = () => { s.close(); resolve('error'); }; s.addEventListener('hello', () => resolve('hello')); }),
      };
    }, api);
    assert.deepEqual({...answers, simple: ''}, {read: 'TypeError', logs: 'TypeError', post: 'TypeError', simple: '', stream: 'error'});
    assert.match(answers.simple, /^opaque 0 0$|TypeError/);
    // The panel in a frame of it.
    const framed = await page.evaluate((url) => new Promise((resolve) => {
      const frame = document.createElement('iframe');
      frame.onload = () => { try { resolve(frame.contentDocument?.title ?? 'refused'); } catch { resolve('refused'); } };
      frame.src = url;
      document.body.append(frame);
    }), fleet.url);
    assert.notEqual(framed, 'keepwell');
    await page.evaluate(() => document.getElementById('f').submit());
    await page.waitForURL(/restart/).catch(() => {});
    await page.done();

    // The same, by a name of the attacker's that now leads here: same origin for the browser.
    const rebound = await open(browser, null, {anonymous: true}), answer = await rebound.goto(`http://rebound.example:${fleet.port}/`);
    assert.equal(answer.status(), 421);
    assert.doesNotMatch(await rebound.content(), /Storefront/);
    const inside = await rebound.evaluate(() => fetch('/api/status').then((r) => r.status));
    assert.equal(inside, 421);
    await rebound.done();
  } finally {
    await hostile.close();
  }
  assert.equal(fleet.unit('web').pid, pid);
  assert.equal(fleet.unit('web').restarts.total, before);
});

test('behind nginx with contrib/nginx/proxy.conf: login, streams without delay, also below a path', async () => {
  const other = await Fleet.listening();
  try {
    other.write('[unit.web]\nname = "Behind"\ncommand = ["/bin/sleep", "10000"]\n[policy.default]\nbackoff = { initial = "20s", max = "20s", jitter = 0.0 }\n', {supervisor: '[supervisor.api]\nbehind_proxy = true\n[supervisor.history]\nenabled = false\n'});
    await other.start();
    const proxy = await proxyServer(other.dir, `127.0.0.1:${other.port}`);
    try {
      const page = await open(browser, proxy.url);
      await shows(page, /Log in to keepwell/);
      await page.getByLabel('Token').fill(other.token('ana', 'read,logs,control'));
      await page.getByRole('button', {name: 'Log in'}).click();
      await shows(page, /Behind/);
      await page.evaluate(() => { window.sameDocument = true; });
      process.kill(other.unit('web').pid, 'SIGKILL');
      // By the stream: the reading every 15 s would be too late for a wait of 8.
      await until(async () => /1 service down/.test(await text(page)), 'the change', 8);
      assert.ok(await page.evaluate(() => window.sameDocument));
      for (const hash of ['#/history', '#/history/web']) {
        await page.evaluate((x) => { location.hash = x; }, hash);
        await shows(page, /(?<!cannot read.*)Cannot read the history: it is switched off/i);
      }
      assert.deepEqual(await page.done(), []);
    } finally {
      await proxy.close();
    }
    const below = await Nginx.start(other.dir, `server { listen 127.0.0.1:1; location /keepwell/ { proxy_pass http://127.0.0.1:${other.port}/; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; proxy_buffering off; } }`);
    try {
      const page = await open(browser, below.url + 'keepwell/');
      await shows(page, /Log in to keepwell/);
      await page.getByLabel('Token').fill(other.token('bea', 'read,control'));
      await page.getByRole('button', {name: 'Log in'}).click();
      await shows(page, /Behind/);
      assert.deepEqual(await page.done(), []);
    } finally {
      await below.close();
    }
  } finally {
    await other.close();
  }
});
