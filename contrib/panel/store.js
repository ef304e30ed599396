// What the page knows and where it is: the document with a stamp for each unit (what a row shows, as one text), the route
// in the URL's fragment with its filters and folds, settings in local storage, and further answers of the API by path.
import {announcement} from './words.js';

/** The fragment as {page, arg, params}: `#/s/web?range=7d`. */
export function parseRoute(hash) {
  const [path, query = ''] = hash.replace(/^#\/?/, '').split('?');
  const [page = '', ...rest] = path.split('/');
  let arg = rest.join('/');
  try { arg = decodeURIComponent(arg); } catch { /* taken as it stands */ }
  return {page: page || 'overview', arg, params: new URLSearchParams(query)};
}
export function routeHash(page, arg = '', params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, v]) => v != null && v !== '')).toString();
  return '#/' + (page === 'overview' ? '' : page) + (arg ? '/' + encodeURIComponent(arg) : '') + (query ? '?' + query : '');
}

export class Store {
  doc = null;
  stamps = new Map();
  route = parseRoute('');
  past = new Past();
  #answers = new Map();
  #source; #render; #announce;

  constructor(source, render, announce) {
    this.#source = source;
    this.#render = render;
    this.#announce = announce;
  }

  get list() { return this.doc ? Object.values(this.doc.services) : []; }
  unit(key) { return this.doc && Object.hasOwn(this.doc.services, key) ? this.doc.services[key] : null; }

  accept(doc) {
    const before = this.doc, fresh = new Map(), stepped = this.#source.live && this.past.add(doc, this.#source.now());
    this.doc = doc;
    for (const [key, unit] of Object.entries(doc.services)) {
      const old = before && Object.hasOwn(before.services, key) ? before.services[key] : null;
      fresh.set(key, old === unit && !stepped ? this.stamps.get(key) : stampOf(unit));
      if (!old || old === unit) continue;
      const words = announcement(old, unit, doc);
      if (words) this.#announce(words);
    }
    this.stamps = fresh;
  }

  // -- the URL

  readRoute() { this.route = parseRoute(location.hash); }
  param(name) { return this.route.params.get(name) || ''; }
  setParam(name, value) {
    if (value) this.route.params.set(name, value);
    else this.route.params.delete(name);
    history.replaceState(null, '', location.search + routeHash(this.route.page, this.route.arg, Object.fromEntries(this.route.params)));
    this.#render();
  }
  /** A list in one parameter: folds, levels. */
  listParam(name) { return this.param(name).split(',').filter(Boolean).map(decodeURIComponent); }
  toggleInParam(name, value, on) {
    const list = new Set(this.listParam(name));
    if (on ?? !list.has(value)) list.add(value);
    else list.delete(value);
    this.setParam(name, [...list].map(encodeURIComponent).join(','));
  }

  // -- answers of the API beyond the document

  /** The last answer for that path ({data, error, code, at} or null so far); asks again when the stamp differs or it is
   *  older than `seconds`. */
  answer(path, {stamp = '', seconds = 60} = {}) {
    let entry = this.#answers.get(path);
    if (!entry) {
      entry = {path, stamp: null, asked: 0, value: null};
      this.#answers.set(path, entry);
      if (this.#answers.size > 24) this.#answers.delete(this.#answers.keys().next().value);
    }
    const age = Date.now() - entry.asked;
    if (!entry.busy && (age > seconds * 1e3 || (entry.stamp !== stamp && age > 700))) this.#ask(entry, stamp);
    else if (!entry.busy && entry.stamp !== stamp) setTimeout(this.#render, 800 - age);
    return entry.value;
  }
  async #ask(entry, stamp) {
    Object.assign(entry, {stamp, asked: Date.now(), busy: true});
    const {ok, code, data, error} = await this.#source.get(entry.path);
    // A failed reading does not take away what is known.
    entry.value = ok || !entry.value?.data ? {data: ok ? data : null, error, code, at: Date.now()} : {...entry.value, error};
    entry.busy = false;
    this.#render();
  }
  forget() { this.#answers.clear(); }
}

const LETTERS = {healthy: 'U', degraded: 'G', down: 'D'}, STEP = 30e3, MOST = 60, BAD = 'PUXGD';
/** The histories that a document of more than 100 units does not have: what this page saw itself, from its opening on. */
export class Past {
  #units = new Map(); #step = 0;

  /** Gives histories to the units that have none; true when a new step began. */
  add(doc, now) {
    const step = Math.floor(now / STEP), next = step !== this.#step, missed = this.#step ? Math.min(MOST, step - this.#step - 1) : 0;
    let any = false;
    for (const [key, v] of Object.entries(doc.services)) {
      let p = this.#units.get(key);
      if (v.history && v.history !== p) continue;
      any = true;
      const letter = v.paused ? 'P' : LETTERS[v.health.status] || 'X', ms = v.health.responseTime ?? null;
      if (!p) p = {step_s: STEP / 1e3, states: letter, latency_ms: [ms]};
      else if (next) p = {...p, states: (p.states + 'n'.repeat(Math.max(0, missed)) + letter).slice(-MOST), latency_ms: [...p.latency_ms, ...Array(Math.max(0, missed)).fill(null), ms].slice(-MOST)};
      else if (BAD.indexOf(letter) > BAD.indexOf(p.states.at(-1))) p = {...p, states: p.states.slice(0, -1) + letter};
      this.#units.set(key, p);
      v.history = p;
    }
    this.#step = step;
    return any && next;
  }
}

/** What a row and a problem show of a unit; times that only tick are not in it. */
export function stampOf(v) {
  const r = v.restarts, h = v.history;
  return [v.name, v.group, v.kind, v.pid, v.state, v.desired_state, v.paused, v.paused_until, v.blocked_by, v.critical, v.reason, v.health.status,
    v.health.responseTime, v.health_since, v.last_checked, v.uptime_ratio?.['24h'], v.started_at, r.total, r.next_attempt_at, r.attempts_left, v.cpu_percent,
    v.memory_bytes, h?.states, h?.latency_ms?.[0], h?.latency_ms?.[29], h?.latency_ms?.at(-1), v.checks.map((c) => c.status + c.consecutive_failures).join()].join('|');
}

export const settings = {
  get(name, otherwise = '') {
    try { return localStorage.getItem('keepwell-' + name) ?? otherwise; } catch { return otherwise; }
  },
  set(name, value) {
    try {
      if (value) localStorage.setItem('keepwell-' + name, value);
      else localStorage.removeItem('keepwell-' + name);
    } catch { /* a private window keeps nothing */ }
  },
};
