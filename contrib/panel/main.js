// The panel: joins source, store and pages, draws once a frame, and takes the keys.
import {h, inSight, patch, resume} from './dom.js';
import {Actions} from './actions.js';
import {Dialogs, Toasts, banner, foot, top, useTheme} from './frame.js';
import {alerts} from './page_alerts.js';
import {fleet} from './page_fleet.js';
import {history} from './page_history.js';
import {LoginPage} from './page_login.js';
import {LogsPage} from './page_logs.js';
import {justLookedAt, overview} from './page_overview.js';
import {service} from './page_service.js';
import {empty, skeleton} from './parts.js';
import {Source} from './source.js';
import {Store, settings} from './store.js';
import {tick} from './ticking.js';
import {headline, title} from './words.js';

const BUDGET = 20; // ms of one frame for rows that changed
const idle = globalThis.requestIdleCallback || ((work) => setTimeout(work, 50));

class App {
  #at = {top: document.getElementById('top'), banner: document.getElementById('banner'), main: document.getElementById('main'), foot: document.getElementById('foot'), live: document.getElementById('live')};
  #frame = 0; #orders = new Map(); #held = new Set(); #said = []; #saying = 0; #wasStale = false; #rest = [];

  constructor() {
    this.source = new Source((what) => this.#changed(what));
    this.store = new Store(this.source, () => this.render(), (words) => this.announce(words));
    this.actions = new Actions(this);
    this.dialogs = new Dialogs();
    this.toasts = new Toasts();
    this.logs = new LogsPage(this);
    this.login = new LoginPage(this);
    this.source.onEvent = (name) => { if (name === 'alert' || name === 'action') this.store.forget(); };
  }

  get now() { return this.source.now(); }
  get stale() { return !!this.store.doc && this.source.stale; }
  get late() { return this.stale || !this.source.reachable; }
  get canControl() { return this.source.can('control') && !this.stale; }
  get canLogs() { return this.source.can('logs'); }
  actionStamp(key) { return this.actions.doing(key) + (this.canControl ? 'c' : '') + (this.canLogs ? 'l' : ''); }

  start() {
    useTheme(new URLSearchParams(location.search).get('theme') || settings.get('theme'));
    this.store.readRoute();
    addEventListener('hashchange', () => this.#moved());
    addEventListener('keydown', (event) => this.#key(event));
    addEventListener('click', (event) => closeMenus(event.target));
    // The fragment is the route, so the skip link moves the focus itself.
    document.querySelector('.skip').addEventListener('click', (event) => {
      event.preventDefault();
      this.#at.main.focus();
    });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.render());
    setInterval(() => this.#tick(), 1000);
    this.render();
    this.source.start();
  }

  #changed(what) {
    if (what === 'document' && this.source.document) this.store.accept(this.source.document);
    if (what === 'mode' && this.source.mode === 'login') {
      this.store.doc = null;
      this.store.forget();
    }
    this.render();
  }
  #moved() {
    const before = this.store.route.page;
    this.store.readRoute();
    if (before === 'logs' && this.store.route.page !== 'logs') this.logs.leave();
    this.#orders.clear();
    this.render();
    scrollTo(0, 0);
    this.#at.main.focus({preventScroll: true});
  }

  render() { this.#frame ||= requestAnimationFrame(() => this.#draw()); }
  #draw() {
    this.#frame = 0;
    const deadline = performance.now() + BUDGET;
    patch(this.#at.top, [top(this)]);
    patch(this.#at.banner, banner(this));
    this.#rest = patch(this.#at.main, this.#page(), deadline);
    patch(this.#at.foot, foot(this));
    document.body.classList.toggle('is-stale', this.stale);
    this.#title();
    this.#tickNow();
    this.#goOn();
  }
  // Rows in sight are made in the next frames, the others when there is nothing else to do.
  #goOn() {
    const rest = this.#rest;
    if (!rest.length) return;
    const near = rest.some(inSight);
    (near ? requestAnimationFrame : idle)(() => {
      if (rest !== this.#rest) return;
      this.#rest = resume(rest, performance.now() + (near ? BUDGET : BUDGET / 2));
      if (near || !this.#rest.length) this.#tickNow();
      this.#goOn();
    });
  }
  #page() {
    const {mode, error} = this.source, {page} = this.store.route;
    if (mode === 'login' || page === 'login') return this.login.render();
    if (mode === 'error') return [empty('plug', 'No status to show', error, {pre: 'keepwell status\nsystemctl status keepwell'})];
    if (!this.store.doc) return [h('div', {class: 'lead', 'aria-busy': 'true', key: 'lead'}, h('h1', {}, 'Reading status')), skeleton()];
    const live = this.source.live;
    switch (page) {
      case 'overview': return overview(this);
      case 's': return service(this);
      case 'alerts': return alerts(this);
      case 'logs': if (live) return this.logs.render(); break;
      case 'history': if (live) return history(this); break;
      case 'fleet': if (live) return fleet(this); break;
    }
    return [empty('inbox', 'No such page', live ? 'There is nothing at this address.' : 'This page needs the keepwell API; here only status.json is served.', {more: h('a', {class: 'btn', href: '#/'}, 'Overview')})];
  }
  #title() {
    const {doc, route} = this.store, unit = route.page === 's' && doc ? this.store.unit(route.arg) : null;
    const names = {logs: 'Logs', history: 'History', alerts: 'Alerts', fleet: 'Fleet', login: 'Log in'}, down = doc ? headline(doc).down : 0;
    const text = [(down && !this.stale ? `(${down} down) ` : '') + (unit ? title(unit) : names[route.page] || 'keepwell'), doc?.host].filter(Boolean).join(' · ');
    if (document.title !== text) document.title = text;
  }

  // -- time

  #tick() {
    if (document.hidden) return;
    if (this.stale !== this.#wasStale) {
      this.#wasStale = this.stale;
      if (this.stale) this.announce('No news from keepwell: the state shown is the last known one');
      this.render();
    } else this.#tickNow();
  }
  #tickNow() { tick(this.now, this.stale); }

  // -- a list keeps its order while the pointer or the focus is in it

  order(name, wanted) {
    const before = this.#orders.get(name);
    if (!before || !this.#held.has(name)) {
      this.#orders.set(name, wanted);
      return wanted;
    }
    const there = new Set(wanted), kept = before.filter((key) => there.has(key)), known = new Set(kept), order = [...kept, ...wanted.filter((key) => !known.has(key))];
    this.#orders.set(name, order);
    return order;
  }
  holding(name) {
    const hold = () => this.#held.add(name), release = () => { if (this.#held.delete(name)) this.render(); };
    return {onpointerenter: hold, onpointerleave: release, onfocusin: hold, onfocusout: release};
  }

  // -- telling and asking

  announce(words) {
    this.#said.push(words);
    clearTimeout(this.#saying);
    // Several changes at once are one announcement.
    this.#saying = setTimeout(() => {
      const all = this.#said.splice(0);
      this.#at.live.textContent = all.length > 4 ? `${all.slice(0, 3).join('. ')}. And ${all.length - 3} more changes` : all.join('. ');
    }, 150);
  }
  toast(text, color) {
    this.toasts.add(text, color);
    this.announce(text);
  }
  ask(head, text, yes) { return this.dialogs.ask(head, text, yes); }
  help() { return this.dialogs.help(this.source.live); }
  refresh() {
    this.store.forget();
    this.source.refresh();
  }

  // -- keys

  #key(event) {
    if (event.key === 'Escape') {
      const field = event.target.closest?.('input[type=search]');
      if (field && field.value) {
        field.value = '';
        field.dispatchEvent(new Event('input', {bubbles: true}));
      } else if (field) field.blur();
      closeMenus(null);
      return;
    }
    if (this.dialogs.open || event.metaKey || event.ctrlKey || event.altKey || event.target.closest?.('input, select, textarea')) return;
    const does = {'/': () => document.querySelector('.q')?.focus(), j: () => this.#move(1), k: () => this.#move(-1), r: () => this.#restart(), l: () => this.#logsOf(), a: () => { location.hash = '#/alerts'; }, '?': () => this.help()}[event.key];
    if (!does) return;
    does();
    event.preventDefault();
  }
  #move(by) {
    const links = [...document.querySelectorAll('.row .name a, .hist .name a')], at = links.indexOf(document.activeElement);
    links[Math.max(0, Math.min(links.length - 1, at < 0 && by < 0 ? 0 : at + by))]?.focus();
  }
  #focused() { return this.store.route.page === 's' ? this.store.route.arg : document.activeElement?.closest?.('[data-key]')?.dataset.key; }
  #restart() {
    const key = this.#focused(), unit = key && this.store.unit(key);
    if (unit && this.canControl && !justLookedAt(unit)) this.actions.confirmed('restart', key, 'It is stopped and started again.');
  }
  #logsOf() {
    if (!this.canLogs) return;
    const key = this.#focused();
    location.hash = key ? `#/logs?unit=${encodeURIComponent(key)}` : '#/logs';
  }
}

function closeMenus(target) {
  for (const menu of document.querySelectorAll('details.more[open]')) if (!target || !menu.contains(target)) {
    if (!target && menu.contains(document.activeElement)) menu.querySelector('summary').focus();
    menu.open = false;
  }
}

const app = new App();
app.start();
