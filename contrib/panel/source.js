// Where the panel's data comes from: keepwell's API below the page (`api/status`), or, where that is not there, the file
// status.json beside it. One stream at a time tells when to read again; it is closed while nobody looks, and every 15 s the
// document is read anyway (304 when nothing changed). Says what it found by `changed(what)`: 'document', 'mode', 'contact', 'session'.

const PERIOD = 15e3, PATIENCE = 12e3;
const SESSION = 'api/session';
const ALL_SCOPES = ['read', 'logs', 'metrics', 'control'];

export class Source {
  mode = 'loading'; // loading, live, static, login, error
  document = null;
  error = '';
  session = {name: '', scopes: [], login: false};
  contact = 0; // when the document was last known to be current, by this page's clock corrected by offset
  offset = 0; // the server's clock minus ours, when that is more than our network
  reachable = true;
  #changed; #etag = ''; #timer = 0; #busy = null; #again = false; #stream = null; #wanted = null; #last = 0; #cost = 0; #soon = 0;

  constructor(changed, base = '', {stream = true} = {}) {
    this.#changed = changed;
    this.base = base;
    this.streams = stream;
    this.onEvent = () => {};
  }

  now() { return Date.now() + this.offset; }
  /** After how many seconds without news the document is too old. Of a live server news come every 15 s at the latest, if
   *  only to say that there are none; a file tells it itself. */
  get patience() { return Math.max(this.document?.stale_after_s || 90, this.live ? 2 * PERIOD / 1e3 + 5 : 0); }
  get stale() { return !!this.document && (this.now() - this.contact) / 1000 > this.patience; }
  get live() { return this.mode === 'live'; }
  can(scope) { return this.live && this.session.scopes.includes(scope); }

  start() {
    document.addEventListener('visibilitychange', () => (document.hidden ? this.#rest() : this.#wake()));
    this.#wake();
  }
  #wake() {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => { if (Date.now() - this.#last > PERIOD - 1e3) this.refresh(); }, PERIOD / 5);
    this.refresh();
    this.#openStream();
  }
  #rest() {
    clearInterval(this.#timer);
    this.#closeStream();
  }

  /** Reads the document; calls while it is being read are one more reading after it. */
  refresh() {
    if (this.#busy) {
      this.#again = true;
      return this.#busy;
    }
    this.#last = Date.now();
    this.#busy = this.#read().catch((error) => this.#failed(String(error.message || error))).finally(() => {
      this.#busy = null;
      if (this.#again) {
        this.#again = false;
        this.soon();
      }
    });
    return this.#busy;
  }
  /** Reads soon: many calls are one reading, and a large document is not read more often than it can be shown. */
  soon() {
    if (this.#soon) return;
    const gap = Math.max(250, this.#cost * 8), wait = Math.max(0, this.#last + gap - Date.now());
    this.#soon = setTimeout(() => {
      this.#soon = 0;
      if (!document.hidden) this.refresh();
    }, wait);
  }

  async #read() {
    if (this.mode !== 'static') {
      if (this.mode === 'loading' || this.mode === 'login') await this.#readSession();
      const answer = await this.#fetch('api/status', this.#etag && this.live ? {'If-None-Match': this.#etag} : {});
      if (answer.status === 304) return this.#current(answer);
      const json = /json/.test(answer.headers.get('Content-Type') || '');
      if (answer.ok && json) return this.#accept(await this.#parse(answer), answer, 'live');
      if ((answer.status === 401 || answer.status === 403) && json) return this.#needLogin();
      if (this.live) return this.#failed(`The server answered ${answer.status} for api/status.`);
      const found = await this.#readFile();
      if (found) return found;
      return this.#failed(json ? (await answer.json()).error || `The server answered ${answer.status}.`
        : `The server answered ${answer.status} for api/status and has no status.json beside this page. Is keepwell running, and is its status folder served?`);
    }
    if (!(await this.#readFile())) this.#failed('The server has no status.json beside this page any more.');
  }
  async #readFile() {
    const answer = await this.#fetch('status.json', {}, 'no-cache').catch(() => null);
    if (!answer?.ok) return null;
    const doc = await this.#parse(answer);
    const units = Object.values(doc.services || {});
    if (units.length && units.every((v) => v.history == null)) await this.#readHistory(doc);
    this.#accept(doc, answer, 'static');
    return true;
  }
  async #readHistory(doc) {
    const answer = await this.#fetch('history.json', {}, 'no-cache').catch(() => null);
    if (!answer?.ok) return;
    const all = await answer.json(), services = all.services || all;
    for (const [key, v] of Object.entries(doc.services)) if (services[key]) v.history = services[key].history || services[key];
  }
  async #parse(answer) {
    const text = await answer.text(), start = performance.now(), doc = JSON.parse(text);
    this.#cost = performance.now() - start;
    if (typeof doc !== 'object' || !doc.services) throw new Error('What the server sent is not a status document.');
    return doc;
  }
  #accept(doc, answer, mode) {
    this.#etag = answer.headers.get('ETag') || '';
    this.#clockFrom(answer);
    this.document = doc;
    this.error = '';
    this.reachable = true;
    // A live server speaks for now; a file only for the time that stands in it.
    this.contact = mode === 'live' && !doc._file ? this.now() : Date.parse(doc.generated_at);
    this.#setMode(mode);
    this.#changed('document');
    return true;
  }
  #current(answer) {
    this.#clockFrom(answer);
    this.contact = this.now();
    this.reachable = true;
    this.#changed('contact');
  }
  #clockFrom(answer) {
    const date = Date.parse(answer.headers.get('Date') || '');
    if (Number.isNaN(date)) return;
    const off = date + 500 - Date.now();
    this.offset = Math.abs(off) > 2500 ? off : 0;
  }
  #failed(message) {
    this.reachable = false;
    this.error = message;
    if (!this.document && this.mode !== 'login') this.#setMode('error');
    this.#changed('contact');
    // Before anything was ever shown somebody looks at the error: try again soon.
    if (!this.document) setTimeout(() => { if (!this.document && !document.hidden) this.refresh(); }, 3e3);
  }
  async #needLogin() {
    await this.#readSession();
    this.document = null;
    this.#closeStream();
    this.#setMode('login');
  }
  #setMode(mode) {
    if (mode === this.mode) return;
    this.mode = mode;
    this.#changed('mode');
    if (mode === 'live') this.#openStream();
  }

  // A token may have been revoked and a login may be over: what a page may do is looked at whenever the server refuses
  // something, and at the beginning of every stream.
  async #readSession() {
    const answer = await this.get(SESSION);
    // Without sessions there is nothing to log in to: who reaches the socket may do everything.
    if (answer.status === 404 || (answer.ok && !answer.data)) this.session = {name: '', scopes: ALL_SCOPES, login: false};
    else if (answer.ok) this.session = {name: answer.data.name || '', scopes: answer.data.scopes || [], login: !!answer.data.login};
    this.#changed('session');
  }
  /** '' or why it was refused. */
  async login(token) {
    const answer = await this.post('api/login', {token});
    if (!answer.ok) return answer.status === 401 ? 'This token is not known. Make one with: keepwell token add' : answer.error;
    this.mode = 'loading';
    await this.refresh();
    this.#openStream();
    return '';
  }
  async logout() {
    await this.post('api/logout', {});
    this.mode = 'loading';
    this.document = null;
    this.#etag = '';
    await this.refresh();
  }

  /** {ok, status, code, data, error} of one GET; never throws. */
  get(path) { return this.#ask(path, {}); }
  /** The same of a change. */
  post(path, body) {
    return this.#ask(path, {method: 'POST', body: JSON.stringify(body ?? {}), headers: {'Content-Type': 'application/json', 'X-Keepwell-Request': '1'}});
  }
  async #ask(path, options) {
    try {
      const answer = await fetch(this.base + path, {cache: 'no-store', credentials: 'same-origin', signal: AbortSignal.timeout(35e3), ...options});
      const data = answer.status !== 204 && /json/.test(answer.headers.get('Content-Type') || '') ? await answer.json() : null;
      if ((answer.status === 401 || answer.status === 403) && this.live && path !== 'api/login' && path !== SESSION) {
        await this.#readSession();
        this.refresh(); // shows the login where not even reading is allowed any more
      }
      const wait = answer.headers.get('Retry-After');
      return {ok: answer.ok, status: answer.status, code: data?.code || '', data,
        error: answer.ok ? '' : (data?.error || `the server answered ${answer.status}`) + (wait ? ` (again in ${wait} s)` : '')};
    } catch (error) {
      return {ok: false, status: 0, code: '', data: null, error: error.name === 'TimeoutError' ? 'no answer within 35 s' : 'the server cannot be reached'};
    }
  }
  #fetch(path, headers, cache = 'no-store') {
    return fetch(this.base + path, {headers, cache, credentials: 'same-origin', signal: AbortSignal.timeout(PATIENCE)});
  }

  /** The one stream of this page: null for the events of the fleet, else a path and what takes its events
   *  {message, gap, open, lost}. */
  use(stream) {
    this.#wanted = stream;
    this.#closeStream();
    this.#openStream();
  }
  #openStream() {
    if (!this.streams || !this.live || document.hidden || this.#stream) return;
    const wanted = this.#wanted, from = wanted?.last ? '&last_event_id=' + encodeURIComponent(wanted.last) : '', stream = new EventSource(this.base + (wanted ? wanted.path + from : 'api/events/stream'));
    this.#stream = stream;
    let opened = false;
    const alive = () => {
      this.reachable = true;
      this.contact = this.now();
    };
    stream.addEventListener('open', () => { opened = true; alive(); wanted?.open?.(); });
    stream.addEventListener('heartbeat', () => { alive(); this.#changed('contact'); });
    // Where the stream was: opened anew, after the page was hidden, it goes on there.
    stream.addEventListener('message', (event) => { alive(); if (wanted) wanted.last = event.lastEventId; wanted?.message?.(event); });
    stream.addEventListener('gap', (event) => { alive(); wanted?.gap?.(event); if (!wanted) this.soon(); });
    for (const name of ['hello', 'status', 'alert', 'action'])
      stream.addEventListener(name, (event) => { alive(); this.#heard(name, event); });
    stream.addEventListener('error', () => {
      if (stream !== this.#stream) return;
      wanted?.lost?.();
      this.soon();
      // The browser comes back by itself unless the server refused; then the readings every 15 s must do for a while.
      if (stream.readyState === EventSource.CLOSED) {
        this.#stream = null;
        // Where the stream was is kept over a restart of the server; an id that it never takes is given up after a minute.
        if (wanted) wanted.refused = opened ? 0 : (wanted.refused || 0) + 1;
        if (wanted?.refused > 12) wanted.last = '';
        setTimeout(() => this.#openStream(), PERIOD / 3);
      }
    });
  }
  #heard(name, event) {
    let data = null;
    try { data = JSON.parse(event.data); } catch { /* only the name counts then */ }
    this.onEvent(name, data);
    if (name === 'hello') {
      this.#readSession();
      return this.soon();
    }
    if (name !== 'status') return;
    // What changed since; while the whole is being read, or without a document to change, the whole is read again.
    if (this.#busy || !this.document || !data?.services) this.soon();
    if (this.document && data?.services) this.#merge(data);
  }
  #merge({services, order, ...rest}) {
    const now = this.document.services, all = {};
    for (const key of order || new Set([...Object.keys(now), ...Object.keys(services)])) {
      const before = Object.hasOwn(now, key) ? now[key] : null, fresh = Object.hasOwn(services, key) ? services[key] : null;
      if (fresh || before) all[key] = fresh ? {...before, ...fresh, history: fresh.history ?? before?.history ?? null} : before;
    }
    this.document = {...this.document, ...rest, services: all};
    this.#changed('document');
  }
  #closeStream() {
    this.#stream?.close();
    this.#stream = null;
  }
}
