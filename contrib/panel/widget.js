// keepwell's cards inside any page:
//
//   <script type="module" src="/keepwell/widget.js"></script>
//   <div data-keepwell></div>
//
// The cards live in a shadow root with a stylesheet of their own (widget.css beside this file), so neither page nor cards
// change each other. Read from `api/status` below data-keepwell (default: where this file is), or from status.json there.
// data-services="web,db" and data-group="shop" choose; data-only="problems"; data-theme="light" or "dark"; data-panel is
// the address that a card links to. Nothing is said to the page and nothing of it is read but these attributes.
import {h, patch} from './dom.js';
import {bar} from './charts.js';
import {icon} from './icons.js';
import {Source} from './source.js';
import {tick} from './ticking.js';
import {clock, headline, isProblem, look, ms, next, percent, rank, reason, title} from './words.js';

const HERE = new URL('.', import.meta.url).href;
const sources = new Map(); // one reading for all elements of one address

function sourceOf(base) {
  let entry = sources.get(base);
  if (!entry) {
    entry = {widgets: new Set()};
    entry.source = new Source(() => entry.widgets.forEach((w) => w.draw()), base, {stream: false});
    sources.set(base, entry);
    entry.source.start();
  }
  return entry;
}

class Widget {
  #host; #root; #body; #source; #busy = new Map();

  constructor(host) {
    this.#host = host;
    const base = new URL(host.dataset.keepwell || HERE, location.href), entry = sourceOf(base.href.endsWith('/') ? base.href : base.href + '/');
    this.base = base.href;
    this.#source = entry.source;
    this.#root = host.attachShadow({mode: 'open'});
    const sheet = document.createElement('link');
    sheet.rel = 'stylesheet';
    sheet.href = HERE + 'widget.css';
    this.#body = document.createElement('div');
    this.#body.className = 'kw';
    this.#body.hidden = true; // until it has its looks
    sheet.addEventListener('load', () => { this.#body.hidden = false; });
    sheet.addEventListener('error', () => { this.#body.hidden = false; });
    if (['light', 'dark'].includes(host.dataset.theme)) this.#body.dataset.theme = host.dataset.theme;
    this.#root.append(sheet, this.#body);
    entry.widgets.add(this);
    setInterval(() => this.tick(), 1000);
    this.draw();
  }

  get #stale() { return this.#source.stale; }
  tick() {
    if (!this.#host.isConnected) return; // the page took it away, and may put it back
    const stale = this.#stale;
    if (this.#body.classList.contains('is-stale') !== stale) this.draw();
    else tick(this.#source.now(), stale, this.#body);
  }
  draw() {
    this.#body.classList.toggle('is-stale', this.#stale);
    patch(this.#body, this.#content());
    tick(this.#source.now(), this.#stale, this.#body);
  }
  #content() {
    const {document: doc, mode, error} = this.#source;
    if (mode === 'login') return [h('p', {class: 'kw-note'}, 'Reading the state of these services needs a login. ', h('a', {href: this.#panel()}, 'Log in'))];
    if (!doc) return [h('p', {class: 'kw-note'}, mode === 'error' ? error : 'Reading status…')];
    const units = this.#chosen(doc), head = headline({...doc, services: Object.fromEntries(units.map((v) => [v.key, v]))});
    return [h('div', {class: 'kw-head'}, h('span', {class: 'kw-title'}, (this.#stale ? 'Last known: ' : '') + (units.length ? head.title : 'No service to show')),
      h('span', {class: 'kw-age'}, this.#stale ? `no news since ${clock(this.#source.contact)}` : [' updated ', h('span', {'data-ago': this.#source.contact}), ' ago']),
      h('button', {type: 'button', class: 'kw-again', 'aria-label': 'Read all again', title: 'Read all again', onclick: () => this.#source.refresh()}, icon('retry'))),
    h('ul', {class: 'kw-cards'}, units.map((v) => this.#card(v, doc)))];
  }
  #chosen(doc) {
    const {services, group, only} = this.#host.dataset, wanted = services ? services.split(',').map((x) => x.trim()).filter(Boolean) : null;
    const all = wanted ? wanted.map((k) => (Object.hasOwn(doc.services, k) ? doc.services[k] : null)).filter(Boolean) : Object.values(doc.services);
    const list = all.filter((v) => (!group || v.group === group) && (only !== 'problems' || isProblem(v)));
    return wanted ? list : list.map((v, i) => [v, i]).sort((a, b) => Math.min(rank(a[0]), 8) - Math.min(rank(b[0]), 8) || a[1] - b[1]).map(([v]) => v);
  }
  #panel(key = '') { return (this.#host.dataset.panel || this.base) + (key ? `#/s/${encodeURIComponent(key)}` : ''); }
  #card(v, doc) {
    const [color, shape, word, life] = look(v), n = next(v, doc), past = v.history, busy = this.#busy.get(v.key);
    return h('li', {class: `kw-card s-${color}`, key: v.key, 'data-key': v.key}, h('div', {class: 'kw-row'}, h('a', {class: 'kw-name', href: this.#panel(v.key)}, title(v)),
      h('span', {class: 'kw-state'}, icon(shape), word, life ? h('small', {}, ' · ' + life) : null)),
    isProblem(v) ? h('p', {class: 'kw-why'}, reason(v, doc, this.#source.now()), n.at ? [', ', n.label, ' ', h('b', {'data-count': n.at})] : null) : null,
    past ? bar(past.states, {what: 'last 30 minutes'}) : null,
    h('div', {class: 'kw-row kw-foot'}, h('span', {}, v.health.responseTime == null ? (v.uptime_ratio?.['24h'] != null ? percent(v.uptime_ratio['24h']) : v.kind) : ms(v.health.responseTime)),
      h('span', {}, v.last_checked ? ['last checked ', h('span', {'data-ago': v.last_checked}), ' ago'] : ['seen ', h('span', {'data-ago': doc.generated_at}), ' ago']),
      h('button', {type: 'button', class: 'kw-again', 'aria-label': `Refresh ${title(v)}`, title: 'Refresh', 'aria-busy': busy ? 'true' : null, onclick: () => this.#again(v.key)}, icon('retry'))));
  }
  // Who may, has the checks run; everybody reads again.
  async #again(key) {
    if (this.#busy.has(key)) return;
    this.#busy.set(key, true);
    this.draw();
    if (this.#source.can('control') && this.#source.document.services[key]?.checks.length) {
      const answer = await this.#source.post(`api/services/${encodeURIComponent(key)}/check`, {}), id = answer.data?.action_id;
      if (id != null) await this.#source.get(`api/actions/${encodeURIComponent(id)}?wait=10`);
    }
    await this.#source.refresh();
    this.#busy.delete(key);
    this.draw();
  }
}

/** Puts the cards into every element with data-keepwell that has none yet. */
export function mount(root = document) {
  for (const host of root.querySelectorAll('[data-keepwell]')) if (!host.shadowRoot) new Widget(host);
}
if (typeof document !== 'undefined') {
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', () => mount());
  else mount();
}
