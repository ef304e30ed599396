// What a browser test looks at: a real keepwell in a temporary folder, real nginx in front of it or of status.json, and a
// small web server of our own. Everything that is started here ends with close().
import {spawn, execFileSync} from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

export const TOP = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const PANEL = path.join(TOP, 'contrib/panel');
const first = (...names) => names.find((n) => n && fs.existsSync(n));
export const KEEPWELL = process.env.KEEPWELL_BIN || first(...['release', 'dev', 'asan'].map((p) => path.join(TOP, `build/${p}/bin/keepwell`)));
export const VICTIM = process.env.VICTIM_BIN || first(...['release', 'dev', 'asan'].map((p) => path.join(TOP, `build/${p}/bin/victim`)));
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The first true value of `what()`; an error after `seconds`. */
export async function until(what, text, seconds = 30) {
  for (const end = Date.now() + seconds * 1e3; ;) {
    let value, why = '';
    try { value = await what(); } catch (error) { why = error.message; }
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${text} ${why}`);
    await sleep(50);
  }
}
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => { const {port} = server.address(); server.close(() => resolve(port)); });
  });
}
const alive = (pid) => { try { return !/^\S+ \(.*\) [ZX]/s.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8')); } catch { return false; } };

export class Fleet {
  constructor() {
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'keepwell-panel-'));
    fs.chmodSync(this.dir, 0o755);
    this.socket = path.join(this.dir, 'run/control.sock');
    this.statusFile = path.join(this.dir, 'web/status.json');
    this.output = path.join(this.dir, 'keepwell.out');
    this.environment = {...Object.fromEntries(Object.entries(process.env).filter(([k]) => !k.startsWith('KEEPWELL'))), KEEPWELL_SOCKET: this.socket, NO_COLOR: '1', KEEPWELL_TICK_MS: '5000' /* one is frozen for longer than its keeper would wait */, ...process.env.KEEPWELL_PANEL_ENV && JSON.parse(process.env.KEEPWELL_PANEL_ENV)};
    fs.mkdirSync(path.join(this.dir, 'web'));
  }
  /** One that listens on TCP as well: call it before write(). */
  static async listening() {
    const fleet = new Fleet();
    fleet.port = await freePort();
    fleet.url = `http://127.0.0.1:${fleet.port}/`;
    return fleet;
  }
  file(name, text) {
    const where = path.join(this.dir, name);
    if (text !== undefined) fs.writeFileSync(where, text);
    return where;
  }
  /** The arguments of a unit's command that is a victim. */
  victim(name, ...options) { return JSON.stringify([VICTIM, '--record', path.join(this.dir, `${name}.record`), ...options.map(String)]); }
  write(units, {supervisor = '', interval = '2s'} = {}) {
    const listen = this.port ? [`127.0.0.1:${this.port}`] : [];
    this.file('keepwell.toml', `[supervisor]\nruntime_dir = "${this.dir}/run"\nstate_dir = "${this.dir}/state"\nlog_dir = "${this.dir}/log"\nstatus_file = "${this.statusFile}"\nstatus_interval = "${interval}"\nlisten = ${JSON.stringify(listen)}\n${supervisor}\n\n${units}\n`);
  }
  async start() {
    const out = fs.openSync(this.output, 'a');
    this.keeper = spawn(KEEPWELL, ['run', '-c', path.join(this.dir, 'keepwell.toml')], {cwd: this.dir, env: this.environment, detached: true, stdio: ['ignore', out, out]});
    fs.closeSync(out);
    await until(() => {
      if (this.keeper.exitCode !== null) throw new Error('keepwell ended: ' + fs.readFileSync(this.output, 'utf8').slice(-2000));
      return fs.existsSync(this.socket) && fs.existsSync(this.statusFile);
    }, 'keepwell to be up');
  }
  /** A new token's secret. */
  token(name, scope) { return this.cli('token', 'add', name, '--scope', scope, '-c', path.join(this.dir, 'keepwell.toml')).trim(); }
  status() { return JSON.parse(fs.readFileSync(this.statusFile, 'utf8')); }
  unit(key) { return this.status().services[key]; }
  cli(...args) { return execFileSync(KEEPWELL, args, {env: this.environment, cwd: this.dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe']}); }
  healthy(...keys) {
    return until(() => keys.every((k) => this.unit(k).health.status === 'healthy' && this.unit(k).state === 'running'), `${keys} to be healthy`);
  }
  /** The pid of the supervisor, the keeper's child. */
  supervisor() {
    const children = fs.readFileSync(`/proc/${this.keeper.pid}/task/${this.keeper.pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean);
    return Number(children.find((pid) => fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('supervise')));
  }
  async close() {
    const pids = fs.readdirSync('/proc').filter((p) => /^\d+$/.test(p)).map(Number).filter((pid) => {
      try { return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(this.dir) || fs.readlinkSync(`/proc/${pid}/cwd`).startsWith(this.dir); } catch { return false; }
    });
    for (const pid of pids) try { process.kill(pid, 'SIGCONT'); } catch { /* gone */ }
    if (this.keeper && this.keeper.exitCode === null) {
      this.keeper.kill('SIGTERM');
      await until(() => !alive(this.keeper.pid), 'keepwell to end', 8).catch(() => {});
    }
    for (const pid of [...(this.keeper ? [this.keeper.pid] : []), ...pids]) try { process.kill(pid, 'SIGKILL'); } catch { /* gone */ }
    fs.rmSync(this.dir, {recursive: true, force: true, maxRetries: 5, retryDelay: 100});
  }
}

/** A real nginx with one of contrib/nginx's files or a server block of one's own; `change` maps its text. */
export class Nginx {
  static async start(dir, text) {
    const self = new Nginx();
    self.dir = fs.mkdtempSync(path.join(dir, 'nginx-'));
    fs.chmodSync(self.dir, 0o755);
    self.port = await freePort();
    self.url = `http://127.0.0.1:${self.port}/`;
    const server = text.replace(/listen 127\.0\.0\.1:\d+;/, `listen 127.0.0.1:${self.port};`), temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((n) => `${n}_temp_path ${self.dir}/${n};`).join(' ');
    // As root the workers would be nobody, who may not enter the folder of the socket.
    fs.writeFileSync(path.join(self.dir, 'nginx.conf'), `${process.getuid() === 0 ? 'user root;' : ''}\ndaemon off; worker_processes 1; pid ${self.dir}/pid; error_log ${self.dir}/error.log;\nevents {}\nhttp { access_log off; default_type application/octet-stream; ${temp}\n${server}\n}\n`);
    self.process = spawn(first('/usr/sbin/nginx', '/usr/bin/nginx'), ['-p', self.dir, '-c', path.join(self.dir, 'nginx.conf')], {stdio: 'ignore'});
    await until(async () => {
      if (self.process.exitCode !== null) throw new Error(fs.readFileSync(path.join(self.dir, 'error.log'), 'utf8'));
      return fetch(self.url).then(() => true);
    }, 'nginx to answer');
    return self;
  }
  async close() {
    this.process.kill('SIGTERM');
    await until(() => this.process.exitCode !== null || this.process.signalCode !== null, 'nginx to end', 5).catch(() => this.process.kill('SIGKILL'));
  }
}
const example = (name) => fs.readFileSync(path.join(TOP, 'contrib/nginx', name), 'utf8');
/** contrib/nginx/static.conf over this panel and a folder with status.json. */
export const staticServer = (dir, folder) => Nginx.start(dir, example('static.conf').replaceAll('/usr/share/keepwell/panel', PANEL).replaceAll('root /run/keepwell;', `root ${folder};`));
/** contrib/nginx/proxy.conf in front of a keepwell that listens at `address`. */
export const proxyServer = (dir, address) => Nginx.start(dir, example('proxy.conf').replaceAll('127.0.0.1:5001', address));
/** A web server of our own: path → [type, text] or a function of the request. */
export async function site(pages) {
  const server = http.createServer((request, response) => {
    const page = pages[new URL(request.url, 'http://x').pathname];
    if (typeof page === 'function') return page(request, response);
    response.writeHead(page ? 200 : 404, {'Content-Type': page ? page[0] : 'text/plain'});
    return response.end(page ? page[1] : 'not found');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {url: `http://127.0.0.1:${server.address().port}/`, port: server.address().port, close: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); })};
}

/** Tokens of the addresses that a page is logged in to when it is opened. */
export const logins = new Map();
/** keepwell's own panel, by somebody who may do everything. */
export function panelOf(fleet) {
  logins.set(new URL(fleet.url).origin, fleet.token('tester', 'read,logs,metrics,control'));
  return {url: fleet.url, close() { logins.delete(new URL(fleet.url).origin); }};
}
