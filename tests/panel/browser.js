// One headless Chromium for a test file, and pages that remember what went wrong in them.
import {createRequire} from 'node:module';
import path from 'node:path';
import {TOP} from './fleet.js';

const modules = createRequire(path.join(process.env.KEEPWELL_PANEL_MODULES || path.join(TOP, 'build/panel'), 'package.json'));
const {chromium} = modules('playwright-core');
export const axeSource = () => modules.resolve('axe-core/axe.min.js');
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];

export const launch = (more = []) => chromium.launch({executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: [...FLAGS, ...more]});

/** A page whose `problems` are script errors and violations of its content security policy. */
export async function open(browser, url, options = {}) {
  const {init, ...rest} = options, context = await browser.newContext({viewport: {width: 1440, height: 900}, reducedMotion: 'reduce', ...rest}), page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error.stack || error)));
  page.on('console', (message) => { if (/Content.Security.Policy|TrustedHTML|Refused to/i.test(message.text())) page.problems.push(message.text()); });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
  });
  if (init) await page.addInitScript(init);
  page.setDefaultTimeout(30e3);
  if (url) await page.goto(url);
  page.done = async () => {
    const violations = await page.evaluate(() => window.violations);
    await context.close();
    return [...page.problems, ...violations];
  };
  return page;
}
