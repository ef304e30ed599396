// The panel over a real keepwell: what happens to a daemon is on the page without a reload, every page opens, keys and
// filters work, foreign text is text.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import {after, before, test} from 'node:test';
import {launch, open} from './browser.js';
import {Fleet, freePort, panelOf, until} from './fleet.js';

const EVIL = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';
let fleet, site, browser, port;

before(async () => {
  fleet = await Fleet.listening();
  port = await freePort();
  fleet.file('health', '200');
  fleet.file('evil.sh', `while :; do echo '${EVIL}'; printf 'bell \\007 and \\033[31mred\\n'; sleep 1; done`);
  fleet.write(`
[defaults.check]
interval = "1s"
retry_interval = "500ms"
timeout = "2s"
grace = "1s"
[policy.default]
failures = 2
backoff = { initial = "8s", max = "8s", jitter = 0.0 }
[unit.web]
name = "Storefront"
group = "web"
command = ${fleet.victim('web', '--http', port, '--health', fleet.dir + '/health', '--rate', '2')}
check.http = { url = "http://127.0.0.1:${port}/health", slow = "1s" }
[unit.mailer]
name = "Mailer"
group = "workers"
command = ["/bin/sleep", "10000"]
[unit.reindex]
group = "workers"
requires = ["web"]
command = ["/bin/sleep", "10000"]
[unit.evil]
name = ${JSON.stringify(EVIL)}
group = ${JSON.stringify('<b>group</b>')}
description = ${JSON.stringify(EVIL)}
command = ["/bin/sh", "${fleet.dir}/evil.sh"]
check.says = { type = "exec", command = ["/bin/sh", "-c", ${JSON.stringify(`echo '${EVIL}'; exit 1`)}], effect = "degraded", heals = false }
[policy.once]
budget = { restarts = 1, within = "10m", then = "stop" }
backoff = { initial = "100ms", max = "100ms", jitter = 0.0 }
[unit.licence]
name = "Licence"
policy = "once"
command = ["/bin/sh", "-c", "test -e ${fleet.dir}/licence && exec sleep 10000; exit 2"]
[unit.ghost]
name = "Ghost Runner"
match = ["${fleet.dir}/no-such-program"]
[unit.spare]
name = "Spare"
group = "workers"
autostart = false
command = ["/bin/sleep", "10000"]
`);
  await fleet.start();
  site = await panelOf(fleet);
  browser = await launch();
  await fleet.healthy('web', 'mailer');
});
after(async () => {
  await browser?.close();
  await site?.close();
  await fleet?.close();
});

const text = (page, where = '#main') => page.locator(where).innerText();
const shows = (page, pattern, where) => until(async () => pattern.test(await text(page, where)), `${pattern} on the page`, 30).catch(async (error) => { throw new Error(`${error.message}\n${await text(page, where)}`); });
const quiet = async (page) => assert.deepEqual(await page.done(), []);

test('a killed daemon: down, the reason, the countdown and the recovery are on the page without a reload', async () => {
  const page = await open(browser, site.url);
  await shows(page, /Storefront/);
  await page.evaluate(() => {
    window.sameDocument = true;
    window.spoken = [];
    new MutationObserver(() => window.spoken.push(document.getElementById('live').textContent)).observe(document.getElementById('live'), {childList: true, characterData: true, subtree: true});
  });
  process.kill(fleet.unit('web').pid, 'SIGKILL');
  const problem = page.locator('.prob[data-key="web"]');
  await problem.waitFor();
  await shows(page, /Down · backoff/, '.prob[data-key="web"]');
  assert.match(await text(page, '.prob[data-key="web"] .why'), /signal 9|SIGKILL|killed/);
  assert.match(await text(page, '.prob[data-key="web"] .why'), /since \d\d:\d\d/);
  assert.match(await text(page, '.prob[data-key="web"] .next'), /^Restart \d+ of 10, then cooldown of 5 min\.$/);
  const seconds = async () => parseInt(await text(page, '.prob[data-key="web"] .timer b'), 10);
  const first = await seconds();
  await until(async () => (await seconds()) < first, 'the countdown to count');
  await shows(page, /needs Storefront|Waiting/, '.row[data-key="reindex"]').catch(() => {}); // held back only where the policy says so
  await until(async () => (await problem.count()) === 0, 'the recovery', 30);
  assert.match(await text(page, '.row[data-key="web"]'), /Healthy/);
  assert.ok(await page.evaluate(() => window.sameDocument));
  const spoken = await page.evaluate(() => window.spoken.join(' | '));
  assert.match(spoken, /Storefront is down: .*Storefront is healthy again/s);
  await quiet(page);
});

test('try now starts it before its time, from the service page', async () => {
  const page = await open(browser, site.url + '#/s/web');
  await shows(page, /Storefront/);
  const before = fleet.unit('web').restarts.total;
  process.kill(fleet.unit('web').pid, 'SIGKILL');
  const button = page.getByRole('button', {name: 'Try now'});
  await button.waitFor();
  await button.click();
  await until(() => fleet.unit('web').state === 'running' && fleet.unit('web').restarts.total >= before, 'the start');
  await shows(page, /Storefront restarted/, '#toasts');
  await shows(page, /exit.*\n?.*signal 9|SIGKILL/s);
  await quiet(page);
});

test('every page opens by its tab, with a heading and without an error', async () => {
  const page = await open(browser, site.url);
  await shows(page, /Storefront/);
  for (const tab of await page.locator('.nav a').allInnerTexts()) {
    const name = tab.replace(/\s*\d.*$/s, '').trim();
    await page.locator('.nav a', {hasText: name}).click();
    await until(async () => (await page.locator('.nav a[aria-current=page]').innerText()).startsWith(name), `the tab ${name}`);
    await until(async () => (await page.locator('h1').count()) === 1, `one heading on ${name}`);
    await until(async () => (await page.locator('.sk').count()) === 0, `${name} to have loaded`);
  }
  for (const key of ['web', 'mailer', 'evil', 'reindex', 'spare', 'no such']) {
    await page.goto(`${site.url}#/s/${encodeURIComponent(key)}`);
    await until(async () => (await page.locator('h1').count()) === 1 && (await page.locator('.sk').count()) === 0, `the page of ${key}`);
  }
  await shows(page, /No such service/);
  await quiet(page);
});

test('buttons do what they say: pause, resume, stop after a question, start, check now', async () => {
  const page = await open(browser, site.url + '#/s/mailer');
  await page.getByText('Pause', {exact: true}).click();
  await page.getByRole('button', {name: 'for 30 min'}).click();
  await until(() => fleet.unit('mailer').paused, 'the pause');
  await shows(page, /Paused · healthy/);
  assert.match(await text(page, '.verdict'), /acts again in/);
  await page.getByRole('button', {name: 'Resume'}).click();
  await until(() => !fleet.unit('mailer').paused, 'the end of the pause');
  await page.getByRole('button', {name: 'More actions'}).click();
  await page.getByRole('button', {name: 'Stop', exact: true}).click();
  await page.getByRole('button', {name: 'Cancel'}).click();
  assert.equal(fleet.unit('mailer').desired_state, 'running');
  await page.getByRole('button', {name: 'More actions'}).click();
  await page.getByRole('button', {name: 'Stop', exact: true}).click();
  await page.locator('#dialog').getByRole('button', {name: 'Stop'}).click();
  await until(() => fleet.unit('mailer').state === 'stopped', 'the stop');
  await shows(page, /Stopped · on purpose/);
  await page.getByRole('button', {name: 'Start', exact: true}).click();
  await fleet.healthy('mailer');
  await page.goto(site.url + '#/');
  const checked = fleet.unit('web').last_checked;
  await page.getByRole('button', {name: 'Check Storefront now'}).click();
  await until(() => fleet.unit('web').last_checked > checked, 'a newer check');
  await quiet(page);
});

test('what was given up is started by its one button; what is only watched has none that could do nothing', async () => {
  await until(() => ['licence', 'ghost'].every((k) => fleet.unit(k).state === 'failed'), 'both to fail');
  const page = await open(browser, site.url);
  await shows(page, /1 service needs you/);
  const ghost = page.locator('.prob[data-key="ghost"]');
  await shows(page, /Only watched: it is up again when its process is there/, '.prob[data-key="ghost"]');
  assert.equal(await ghost.getByRole('button', {name: /Start|Restart|Reset|Try/}).count(), 0);
  await page.goto(site.url + '#/s/ghost');
  await page.getByRole('button', {name: 'More actions'}).click();
  assert.equal(await page.getByRole('button', {name: /^(Start|Restart|Stop)$/}).count(), 0);
  await page.goto(site.url + '#/s/licence');
  fleet.file('licence', '');
  await page.getByRole('button', {name: 'Start', exact: true}).click();
  await fleet.healthy('licence');
  await quiet(page);
});

test('the keys: slash, j, k, enter, l, r with a question, a, question mark', async () => {
  const page = await open(browser, site.url);
  await shows(page, /Storefront/);
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Filter services');
  await page.keyboard.type('j'); // in a field it is a letter
  assert.equal(await page.locator('.q').inputValue(), 'j');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('.q').inputValue(), '');
  await page.keyboard.press('Escape');
  await shows(page, /Storefront/);
  const focused = () => page.evaluate(() => document.activeElement.closest('[data-key]')?.dataset.key);
  await page.keyboard.press('j');
  const one = await focused();
  await page.keyboard.press('j');
  assert.notEqual(await focused(), one);
  await page.keyboard.press('k');
  assert.equal(await focused(), one);
  await page.keyboard.press('r');
  await page.locator('#dialog[open]').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#dialog:not([open])').waitFor({state: 'attached'});
  await page.keyboard.press('Enter');
  await until(() => page.url().includes(`#/s/${one}`), 'the service page');
  await page.keyboard.press('l');
  await until(() => page.url().includes(`#/logs?unit=${one}`), 'its logs');
  await page.keyboard.press('a');
  await until(() => page.url().includes('#/alerts'), 'the alerts');
  await page.keyboard.press('?');
  assert.match(await text(page, '#dialog'), /Next service/);
  await quiet(page);
});

test('filters and folds are in the URL and survive a reload', async () => {
  const page = await open(browser, site.url);
  await shows(page, /Storefront/);
  await page.locator('.grp > summary', {hasText: 'workers'}).click();
  await until(() => page.url().includes('fold=workers'), 'the fold in the URL');
  await page.locator('.q').fill('ma');
  await until(() => page.url().includes('q=ma'), 'the filter in the URL');
  await page.locator('.q').fill('');
  await page.locator('.tally button', {hasText: 'healthy'}).click();
  await until(() => page.url().includes('state=ok'), 'the state in the URL');
  await page.reload();
  await shows(page, /Storefront/, '.rows');
  assert.equal(await page.locator('.row[data-key="mailer"]').count(), 0, 'folded');
  assert.equal(await page.locator('.row[data-key="evil"]').count(), 0, 'filtered');
  assert.equal(await page.locator('.tally button[aria-pressed=true]').count(), 1);
  await quiet(page);
});

test('hostile names, log lines and outputs are text', async () => {
  const page = await open(browser, site.url);
  for (const hash of ['#/', '#/s/evil', '#/logs?unit=evil', '#/history', '#/history/evil', '#/alerts', '#/fleet', `#/s/${encodeURIComponent(EVIL)}`, `#/logs?q=${encodeURIComponent(EVIL)}`]) {
    await page.goto(site.url + hash);
    await until(async () => (await page.locator('h1').count()) === 1 && (await page.locator('.sk').count()) === 0, hash).catch(async (e) => { throw new Error(e.message + await page.evaluate(() => document.body.innerText) + page.problems); });
  }
  await page.goto(site.url + '#/s/evil');
  await shows(page, /<img src=x onerror=/);
  assert.match(await text(page, '.checks'), /<script>/);
  assert.equal(await page.evaluate(() => document.querySelectorAll('main img, main script, main b:not([class]):not([data-count])').length), 0);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  await quiet(page);
});

test('a page nobody looks at holds no stream and asks nothing; back again it is current', async () => {
  const page = await open(browser, site.url, {clock: true});
  await shows(page, /Storefront/);
  const hide = (hidden) => page.evaluate((x) => {
    Object.defineProperty(document, 'hidden', {configurable: true, get: () => x});
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  await hide(true);
  let asked = 0;
  page.on('request', () => asked++);
  await page.clock.runFor(120e3);
  assert.equal(asked, 0);
  await hide(false);
  await until(() => asked > 0, 'a reading');
  await quiet(page);
});

test('a frozen supervisor: stale banner, no colours, no countdowns, no actions; then all come back', async () => {
  const page = await open(browser, site.url);
  await shows(page, /Storefront/);
  await page.locator('.prob, .calm').first().waitFor();
  const pid = fleet.supervisor();
  process.kill(pid, 'SIGSTOP');
  try {
    await until(async () => /(No answer|Monitor silent) since \d\d:\d\d/.test(await text(page, '#banner')), 'the banner', 75);
    assert.match(await text(page, 'h1'), /^Last known: /);
    assert.equal(await page.getByRole('button', {name: /Restart|Try now|Pause|Check .* now/}).count(), 0);
    assert.ok(await page.evaluate(() => document.body.classList.contains('is-stale')));
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await until(async () => (await text(page, '#banner')) === '', 'the banner to go', 30);
  assert.doesNotMatch(await text(page, 'h1'), /Last known/);
  await quiet(page);
});
