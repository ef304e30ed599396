// One headless Chromium for a test file, and pages that remember what went wrong in them.
import {spawn} from 'node:child_process';
import fs from 'node:fs';
import {createRequire} from 'node:module';
import os from 'node:os';
import path from 'node:path';
import {TOP, logins} from './fleet.js';

const modules = createRequire(path.join(process.env.KEEPWELL_PANEL_MODULES || path.join(TOP, 'build/panel'), 'package.json'));
const {chromium} = modules('playwright-core');
export const axeSource = () => modules.resolve('axe-core/axe.min.js');
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];

const PROGRAM = process.env.CHROMIUM || '/usr/bin/chromium';
export const launch = (more = []) => chromium.launch({executablePath: PROGRAM, args: [...FLAGS, ...more]});

/** A page whose `problems` are script errors and violations of its content security policy. */
export async function open(browser, url, options = {}) {
  const {init, anonymous = false, clock = false, ...rest} = options, context = await browser.newContext({viewport: {width: 1440, height: 900}, reducedMotion: 'reduce', ...rest}), page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error.stack || error)));
  page.on('console', (message) => { if (/Content.Security.Policy|TrustedHTML|Refused to/i.test(message.text())) page.problems.push(message.text()); });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
  });
  if (init) await page.addInitScript(init);
  if (clock) await page.clock.install(); // goes on by itself, and faster where it is asked to
  page.setDefaultTimeout(30e3);
  const token = url && !anonymous && logins.get(new URL(url).origin);
  if (token) {
    const answer = await context.request.post(new URL('api/login', url).href, {data: {token}, headers: {'X-Keepwell-Request': '1'}});
    if (!answer.ok()) throw new Error(`login: ${answer.status()} ${await answer.text()}`);
  }
  if (url) await page.goto(url);
  page.done = async () => {
    const violations = await page.evaluate(() => window.violations);
    await context.close();
    return [...page.problems, ...violations];
  };
  return page;
}

/** A browser with one page and nothing that watches it: playwright keeps the answers of every request in the page's own
 *  process, which is no way to measure memory. `evaluate` runs an expression in the page and gives its value. */
export async function bareBrowser(url) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'keepwell-bare-')), chrome = spawn(PROGRAM, [...FLAGS, '--remote-debugging-pipe', `--user-data-dir=${profile}`, 'about:blank'], {stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe']});
  const waiting = new Map();
  let text = '', last = 0;
  chrome.stdio[4].on('data', (chunk) => {
    text += chunk;
    for (let end; (end = text.indexOf('\0')) >= 0; text = text.slice(end + 1)) {
      const message = JSON.parse(text.slice(0, end)), [resolve, reject] = waiting.get(message.id) || [];
      if (!resolve) continue;
      waiting.delete(message.id);
      if (message.error) reject(new Error(message.error.message));
      else resolve(message.result);
    }
  });
  const send = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
    waiting.set(++last, [resolve, reject]);
    chrome.stdio[3].write(JSON.stringify({id: last, method, params, sessionId}) + '\0');
  });
  const {targetId} = await send('Target.createTarget', {url}), {sessionId} = await send('Target.attachToTarget', {targetId, flatten: true});
  return {
    send: (method, params) => send(method, params, sessionId),
    async evaluate(expression) {
      const {result, exceptionDetails} = await send('Runtime.evaluate', {expression, awaitPromise: true, returnByValue: true}, sessionId);
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description || exceptionDetails.text);
      return result.value;
    },
    /** MB that belong to the page's process alone. */
    async memory() {
      const {processInfo} = await send('SystemInfo.getProcessInfo'), sizes = processInfo.filter((p) => p.type === 'renderer').map((p) => Number(/Private_Dirty:\s+(\d+)/.exec(fs.readFileSync(`/proc/${p.id}/smaps_rollup`, 'utf8'))?.[1] || 0) / 1024);
      return Math.max(...sizes);
    },
    async close() {
      const over = new Promise((resolve) => chrome.once('exit', resolve));
      send('Browser.close').catch(() => {});
      setTimeout(() => chrome.kill('SIGKILL'), 5000).unref();
      await over;
      fs.rmSync(profile, {recursive: true, force: true, maxRetries: 5, retryDelay: 100});
    },
  };
}
