// Takes docs/screens/*.png: the panel over a live fleet of realistic names, in three widths and both themes.
// `contrib/dev panel screens` runs it. PANEL_SCREENS names another folder to write to.
import {execFileSync} from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {launch, open} from './browser.js';
import {Fleet, freePort, PANEL, panelOf, site, sleep, TOP, until} from './fleet.js';

const folder = process.env.PANEL_SCREENS || path.join(TOP, 'docs/screens'), only = process.argv[2];
fs.mkdirSync(folder, {recursive: true});
const fleet = await Fleet.listening(), ports = {};
for (const name of ['storefront', 'admin', 'flask', 'pg', 'redis', 'nginx', 'payments']) ports[name] = await freePort();

// Web servers whose answers differ a little, as real ones do; the storefront gets slow.
let slow = 0;
const talk = (low, high) => (request, response) => setTimeout(() => response.end('ok'), low + Math.random() * (high - low));
const servers = {flask: await site({'/': talk(18, 34)}), admin: await site({'/': talk(8, 14)}), payments: await site({'/': talk(120, 170)}), storefront: await site({'/': (q, r) => setTimeout(() => r.end('ok'), slow || 20 + Math.random() * 8)})};
const app = (text) => JSON.stringify(['/bin/sh', '-c', text]);
const chatter = (...lines) => app(`while :; do ${lines.map((l, i) => `echo '${l}'; sleep ${[1.7, 0.9, 2.3, 1.1][i % 4]}`).join('; ')}; done`);
fleet.file('search.sh', 'echo starting node, heap 2g; sleep 1; echo "WARNING gc overhead 71% of the last 10s"; sleep 1; echo "ERROR java.lang.OutOfMemoryError: Java heap space"; kill -9 $$');
fleet.write(`
[defaults.check]
interval = "2s"
retry_interval = "1s"
timeout = "3s"
grace = "1s"
[policy.default]
backoff = { initial = "1s", max = "40s", factor = 3.0, jitter = 0.0 }
budget = { restarts = 10, within = "30m", cooldown = "5m" }
[policy.tight]
backoff = { initial = "500ms", max = "500ms", jitter = 0.0 }
budget = { restarts = 2, within = "30m", cooldown = "5m" }
[unit.flask_web]
name = "Flask Web"
group = "web"
critical = true
description = "Customer pages and JSON API"
command = ${chatter('INFO POST /api/cart 201 83ms', 'INFO GET /health 200 44ms', 'WARNING slow query 612ms: select * from orders where status = ?', 'INFO GET /p/4471 200 31ms')}
check.http = { url = "${servers.flask.url}", slow = "1s" }
check.port = { type = "tcp", port = ${servers.flask.port} }
[unit.storefront]
name = "Storefront"
group = "web"
critical = true
command = ${chatter('INFO GET /p/4471 200 1.62s', 'WARNING render took 1.7s (budget 1s), queue depth 1204', 'INFO GET / 200 24ms')}
check.http = { url = "${servers.storefront.url}", slow = "150ms" }
[unit.admin]
name = "Admin"
group = "web"
critical = false
command = ${chatter('INFO session opened for ana', 'INFO GET /admin/orders 200 12ms')}
check.http = { url = "${servers.admin.url}", slow = "1s" }
[unit.mailer]
name = "Mailer"
group = "workers"
critical = false
command = ${chatter('INFO sent 14, queued 0', 'DEBUG smtp keepalive ok')}
[unit.thumbs_1]
name = "Thumbnails 1"
group = "workers"
critical = false
command = ${chatter('INFO resized 48 images in 2.1s')}
[unit.thumbs_2]
name = "Thumbnails 2"
group = "workers"
critical = false
command = ${chatter('INFO resized 51 images in 2.0s')}
[unit.ghost_runner]
name = "Ghost Runner"
group = "workers"
critical = true
command = ${app('echo ghost-runner 2.4.0 starting; sleep 0.7; echo "ERROR connect ECONNREFUSED 127.0.0.1:9200"; exit 1')}
[unit.reindex]
name = "Reindex"
group = "workers"
critical = false
requires = ["search"]
command = ${chatter('INFO nothing to do')}
[unit.postgres]
name = "PostgreSQL"
group = "data"
critical = true
command = ${fleet.victim('postgres', '--tcp', ports.pg)}
check.port = { type = "tcp", port = ${ports.pg} }
[unit.redis]
name = "Redis"
group = "data"
critical = true
command = ${fleet.victim('redis', '--tcp', ports.redis)}
check.port = { type = "tcp", port = ${ports.redis} }
[unit.search]
name = "Search"
group = "data"
critical = true
policy = "tight"
command = ["/bin/sh", "${fleet.dir}/search.sh"]
[unit.nginx]
name = "nginx"
group = "edge"
critical = true
command = ${fleet.victim('nginx', '--tcp', ports.nginx)}
check.port = { type = "tcp", port = ${ports.nginx} }
[unit."payments"]
name = "Payments API"
group = "edge"
critical = false
check.http = { url = "${servers.payments.url}", slow = "1s" }
`, {interval: '2s', supervisor: process.env.PANEL_SCREENS_SUPERVISOR || ''});

let panel, browser;
try {
  await fleet.start();
  panel = panelOf(fleet);
  browser = await launch(['--force-color-profile=srgb', '--font-render-hinting=none']);
  await fleet.healthy('flask_web', 'postgres', 'nginx');
  fleet.cli('pause', 'thumbs_2', '--for', '2h');
  await sleep(Number(process.env.PANEL_SCREENS_AGE || 150) * 1e3);
  slow = 320;
  await until(() => fleet.unit('storefront').health.status === 'degraded' && fleet.unit('search').state === 'cooldown' && fleet.unit('ghost_runner').state === 'backoff', 'the trouble to show', 120);
  // The widget in somebody's admin page; the panel's files and the document of the fleet beside it.
  const types = {'.js': 'application/javascript', '.css': 'text/css', '.svg': 'image/svg+xml'}, files = {};
  for (const name of fs.readdirSync(PANEL)) if (types[path.extname(name)]) files['/keepwell/' + name] = [types[path.extname(name)], fs.readFileSync(path.join(PANEL, name))];
  files['/keepwell/status.json'] = (request, response) => { response.writeHead(200, {'Content-Type': 'application/json'}); response.end(fs.readFileSync(fleet.statusFile)); };
  files['/shop.css'] = ['text/css', ':root{color-scheme:light dark;background:light-dark(#faf7f0,#1d1a16)}body{margin:0;font:16px/1.5 Georgia,"Liberation Serif",serif;color:light-dark(#3a2f1e,#eadfca)}header{padding:18px 32px;background:light-dark(#6b4e2e,#3b2c1b);color:#fff}header b{font-size:20px}nav{display:inline;margin-left:24px;opacity:.8}main{padding:24px 32px;max-width:1100px;margin:auto}h1{font-weight:400}'];
  files['/'] = ['text/html', '<!doctype html><meta charset=utf-8><meta name=viewport content="width=device-width"><title>Shop admin</title><link rel=stylesheet href=/shop.css><header><b>Shop admin</b><nav>Orders · Stock · People</nav></header><main><h1>System</h1><p>What runs behind the shop, as keepwell sees it.</p><div data-keepwell="/keepwell/" data-services="search,storefront,flask_web,payments,postgres,redis"></div></main><script type=module src=/keepwell/widget.js></script>'];
  servers.shop = await site(files);
  const pages = {overview: '#/', service: '#/s/flask_web', incident: '#/s/search', logs: '#/logs', history: '#/history/flask_web', alerts: '#/alerts', fleet: '#/fleet', login: '#/login', widget: null};
  for (const [name, hash] of Object.entries(pages)) for (const width of [360, 768, 1440]) for (const theme of ['light', 'dark']) {
    if (only && only !== name) continue;
    const page = await open(browser, hash === null ? servers.shop.url : panel.url + hash, {anonymous: name === 'login', viewport: {width, height: width === 1440 ? 900 : 800}, colorScheme: theme, deviceScaleFactor: 1});
    await until(async () => (await page.locator('h1').count()) === 1 && (await page.locator('.sk').count()) === 0 && (hash !== null || (await page.locator('[data-keepwell] .kw-card').count()) === 6), `${name} to have loaded`);
    await sleep(name === 'logs' ? 3000 : 900);
    // What is out of sight is not laid out: the screen is made as tall as the page.
    for (let i = 0; i < 2; i++) {
      await page.setViewportSize({width, height: Math.ceil(Math.max(width === 1440 ? 900 : 700, Math.min(await page.evaluate(() => (document.querySelector('.foot') || document.querySelector('main')).getBoundingClientRect().bottom + scrollY), width === 360 ? 1500 : 1300)))});
      await sleep(300);
    }
    const file = path.join(folder, `${name}-${width}-${theme}.png`);
    await page.screenshot({path: file});
    const wrong = await page.done();
    if (wrong.length) throw new Error(`${name}: ${wrong.join('\n')}`);
    try { execFileSync('pngquant', ['--force', '--skip-if-larger', '--output', file, '--quality', '70-95', file], {stdio: 'ignore'}); } catch { /* larger without it */ }
    if (fs.statSync(file).size > 200e3) throw new Error(`${file} has ${fs.statSync(file).size} bytes, more than 200,000`);
    console.log(path.relative(TOP, file), fs.statSync(file).size);
  }
} finally {
  await browser?.close();
  await panel?.close();
  for (const server of Object.values(servers)) await server.close();
  await fleet.close();
}
