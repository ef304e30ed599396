// The logs page: what is asked (unit, level, since, text) stands in the URL; the lines come over the page's one stream and
// are drawn by the ring. Pause keeps what comes for later; a gap is said where it is.
import {h} from './dom.js';
import {icon} from './icons.js';
import {LEVELS, LogRing, MOST, marker} from './log_view.js';
import {button, empty, field, segments} from './parts.js';
import {failure, plural, title} from './words.js';

const SINCE = [['', 'the last lines'], ['5m', 'last 5 min'], ['1h', 'last hour'], ['24h', 'last 24 h'], ['7d', 'last 7 days']];
const SECONDS = {'5m': 300, '1h': 3600, '24h': 86400, '7d': 604800};

export class LogsPage {
  #app; #ring; #asked = null; #error = ''; #state = 'loading'; #follow = true; #older = {cursor: null, busy: false}; #typing = 0; #known = new Map();

  constructor(app) {
    this.#app = app;
    this.#ring = new LogRing((what) => this.#ringChanged(what));
  }

  render() {
    const {store} = this.#app, ring = this.#ring;
    if (!this.#app.canLogs) return [empty('lock', 'Logs need a token', 'Reading logs needs a token with the scope logs.', {more: this.#app.source.session.login ? h('a', {class: 'btn', href: '#/login'}, 'Log in') : null})];
    this.#ask();
    const words = [plural(ring.count, 'line'), this.#state === 'loading' ? 'loading' : ring.paused ? 'paused' : this.#state === 'lost' ? 'reconnecting' : 'newest last, following'];
    return [h('div', {class: 'lead', key: 'lead'}, h('div', {class: 'grow'}, h('h1', {}, 'Logs'), h('p', {}, words.filter(Boolean).join(', ')))),
      h('div', {class: 'card log-card', key: 'log'}, this.#tools(store), this.#error ? h('p', {class: 'need hot', role: 'alert'}, this.#error) : null,
        h('div', {class: 'log', key: 'box', own: true, tabindex: 0, role: 'log', 'aria-live': 'off', 'aria-label': 'Log lines', ref: (box) => ring.attach(box)}),
        ring.count === 0 && this.#state === 'open' && !this.#error ? h('p', {class: 'need'}, 'No line matches. ', button('Clear filters', {cls: 'ghost', onclick: () => this.#clear()})) : null,
        ring.paused && ring.held.length ? button(`${plural(ring.held.length, 'new line')}, jump to the end`, {cls: 'primary newpill', onclick: () => this.#pause(false)}) : null)];
  }
  #tools(store) {
    const level = store.param('level');
    return h('div', {class: 'tools'},
      field({class: 'field grow q', type: 'search', placeholder: store.param('re') ? 'Regular expression' : 'Search these lines', 'aria-label': 'Search', value: store.param('q'), oninput: (event) => this.#search(event.currentTarget.value)}),
      button('.*', {cls: 'icon mono', 'aria-pressed': String(!!store.param('re')), 'aria-label': 'Regular expression', title: 'Regular expression', onclick: () => store.setParam('re', store.param('re') ? '' : '1')}),
      h('select', {class: 'field', 'aria-label': 'Service', value: store.param('unit'), onchange: (event) => store.setParam('unit', event.currentTarget.value)},
        h('option', {value: ''}, 'All services'), h('option', {value: 'errors'}, 'Errors of all'), store.list.filter((v) => v.kind !== 'external').map((v) => h('option', {value: v.key, key: v.key}, title(v)))),
      segments('Least level', LEVELS, level, (l) => store.setParam('level', level === l ? '' : l)),
      h('select', {class: 'field', 'aria-label': 'Since', value: store.param('since'), onchange: (event) => store.setParam('since', event.currentTarget.value)}, SINCE.map(([value, text]) => h('option', {value, key: value}, text))),
      button(this.#ring.paused ? 'Follow' : 'Pause', {icon: this.#ring.paused ? 'play' : 'pause', 'aria-pressed': String(this.#ring.paused), onclick: () => this.#pause(!this.#ring.paused)}),
      h('a', {class: 'btn ghost', href: this.#app.source.base + 'api/logs?' + this.#query({lines: 1000, format: 'text'}), download: `${store.param('unit') || 'keepwell'}.log`}, icon('save'), 'Download'),
      this.#older.cursor && this.#ring.count < MOST ? button('Older', {cls: 'ghost', busy: this.#older.busy, onclick: () => this.#readOlder()}) : null);
  }

  #query(extra = {}) {
    const {store} = this.#app, since = SECONDS[store.param('since')], query = new URLSearchParams({type: store.param('unit') || 'all', ...extra});
    if (store.param('level')) query.set('level', store.param('level'));
    if (store.param('q')) query.set(store.param('re') ? 're' : 'q', store.param('q'));
    if (since && extra.since !== '') query.set('since', new Date(this.#app.now - since * 1e3).toISOString());
    if (extra.since === '') query.delete('since');
    return query.toString();
  }
  #ask() {
    const {store} = this.#app, asked = ['unit', 'level', 'since', 'q', 're'].map((n) => store.param(n)).join('\n');
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#error = '';
    this.#state = 'loading';
    this.#older = {cursor: null, busy: false};
    this.#ring.clear();
    this.#ring.mark = marker(store.param('q'), !!store.param('re'));
    queueMicrotask(() => this.#open());
  }
  async #open() {
    const asked = this.#asked, answer = await this.#app.source.get('api/logs?' + this.#query({lines: 500}));
    if (asked !== this.#asked) return;
    this.#state = 'open';
    if (!answer.ok) {
      this.#error = failure('Cannot read the logs', answer.error);
      this.#app.render();
      return;
    }
    this.#older.cursor = answer.data.cursor?.before ?? null;
    const lines = linesOf(answer.data);
    this.#ring.add([...gapsOf(answer.data), ...lines]);
    this.#ring.toEnd();
    // The stream begins with lines that were just read: the same ones are not shown twice.
    this.#known = new Map();
    for (const l of lines.slice(-OVERLAP)) this.#known.set(nameOf(l), (this.#known.get(nameOf(l)) || 0) + 1);
    this.#app.source.use({path: 'api/logs/stream?' + this.#query({lines: OVERLAP, since: ''}), message: (event) => this.#came(event, asked), gap: (event) => this.#gap(event),
      open: () => { this.#state = 'open'; this.#app.render(); }, lost: () => { this.#state = 'lost'; this.#app.render(); }});
    this.#app.render();
  }
  #came(event, asked) {
    if (asked !== this.#asked) return;
    let lines = [];
    try { lines = linesOf(JSON.parse(event.data)); } catch { /* half an event is none */ }
    if (this.#known.size) {
      const fresh = lines.filter((l) => !this.#seen(l));
      if (fresh.length) this.#known.clear();
      lines = fresh;
    }
    this.#ring.add(lines);
  }
  #seen(l) {
    const n = this.#known.get(nameOf(l));
    if (n) this.#known.set(nameOf(l), n - 1);
    return !!n;
  }
  #gap(event) {
    let gap = {};
    try { gap = JSON.parse(event.data); } catch { /* a gap of unknown size */ }
    this.#ring.add([{gap: gap.lines || 1, text: (gap.lines ? `${plural(gap.lines, 'line')} missing here` : 'Lines are missing here') + (GAPS[gap.reason] || '')}]);
  }
  async #readOlder() {
    this.#older.busy = true;
    this.#app.render();
    const extra = {lines: 500};
    if (this.#older.cursor) extra.before = this.#older.cursor;
    const answer = await this.#app.source.get('api/logs?' + this.#query(extra));
    this.#older.busy = false;
    if (answer.ok) {
      this.#older.cursor = answer.data.cursor?.before ?? null;
      this.#ring.addBefore(linesOf(answer.data));
    } else this.#app.toast(failure('Cannot read older lines', answer.error), 'down');
    this.#app.render();
  }

  #search(text) {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#app.store.setParam('q', text), 250);
  }
  #clear() {
    for (const name of ['unit', 'level', 'since', 'q', 're']) this.#app.store.setParam(name, '');
  }
  #pause(on) {
    this.#ring.pause(on);
    this.#app.render();
  }
  #ringChanged(what) {
    if (what === 'scroll') {
      const end = this.#ring.atEnd;
      if (end === this.#follow) return;
      this.#follow = end;
    }
    this.#app.render();
  }
  leave() {
    this.#asked = null;
    this.#ring.paused = false;
    this.#ring.clear();
    this.#app.source.use(null);
  }
}
const OVERLAP = 100;
const GAPS = {slow: ': the reader was too slow', rotated: ': the file was rotated before they were read'};
const nameOf = (l) => `${l.timestamp} ${l.daemon} ${l.message}`;
/** The lines of an answer (a list) or of an event (by unit), in the order of their times; what came together stays so. */
export function linesOf(data) {
  const found = data?.data?.logs ?? data?.logs ?? [];
  if (Array.isArray(found)) return found;
  const all = Object.entries(found).flatMap(([daemon, lines]) => lines.map((l) => (l.daemon ? l : {...l, daemon})));
  return all.map((l, i) => [Date.parse(l.timestamp) || 0, i, l]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , l]) => l);
}
const gapsOf = (data) => [...(data.gaps || []).map((g) => ({gap: 1, text: `Older lines of ${g.daemon} are gone`})), ...(data.unreadable || []).map((g) => ({gap: 1, text: `Cannot read ${g.daemon}: ${g.error}`}))];
