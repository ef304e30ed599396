// What surrounds every page: top bar, banner, footer, dialogs, toasts, the live region.
import {h, patch} from './dom.js';
import {brandMark, icon} from './icons.js';
import {needsSomebody} from './page_alerts.js';
import {settings} from './store.js';
import {clock, duration, visible} from './words.js';

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}
export function useTheme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
}

export function top(app) {
  const {source, store} = app, {doc, route} = store, page = route.page === 's' ? 'overview' : route.page, firing = doc ? (doc.alerts || []).filter(needsSomebody).length : 0;
  const tab = (id, text, n) => h('a', {key: id, href: '#/' + (id === 'overview' ? '' : id), 'aria-current': page === id ? 'page' : null}, text, n ? h('span', {class: 'count'}, n, h('span', {class: 'sr'}, ' firing')) : null);
  const dark = isDark();
  return h('div', {class: 'bar'}, h('a', {class: 'brand', href: '#/'}, brandMark(), 'keepwell', doc ? h('span', {class: 'hostname cut'}, visible(doc.host)) : null),
    doc && source.mode !== 'login' ? h('nav', {class: 'nav', 'aria-label': 'Pages'}, tab('overview', 'Overview'), source.live ? tab('logs', 'Logs') : null, source.live ? tab('history', 'History') : null, tab('alerts', 'Alerts', firing), source.live ? tab('fleet', 'Fleet') : null) : null,
    h('span', {class: 'grow'}),
    source.mode === 'static' ? h('span', {class: 'chip', title: 'Read from status.json: no actions, no logs'}, 'static') : null,
    doc && source.live && !source.session.scopes.includes('control') ? h('span', {class: 'chip', title: 'What you may do depends on your token'}, 'read only') : null,
    doc ? h('button', {type: 'button', class: 'fresh' + (app.late ? ' late' : ''), title: 'Read it again', onclick: () => app.refresh()}, h('i', {}), h('span', {}, source.reachable ? [h('span', {class: 'long'}, 'updated '), h('span', {'data-ago': source.contact}), ' ago'] : 'reconnecting')) : null,
    source.session.login && source.live ? (source.session.name ? h('button', {type: 'button', class: 'btn ghost', key: 'out', title: `Logged in as ${source.session.name}`, onclick: () => source.logout()}, 'Log out') : h('a', {class: 'btn ghost', key: 'in', href: '#/login'}, 'Log in')) : null,
    h('button', {class: 'btn ghost icon', type: 'button', key: 'theme', 'aria-label': dark ? 'Use the light theme' : 'Use the dark theme', onclick: () => {
      const name = dark ? 'light' : 'dark';
      useTheme(name);
      settings.set('theme', name);
      app.render();
    }}, icon(dark ? 'sun' : 'moon')));
}

export function banner(app) {
  const {source, store} = app;
  if (!store.doc || !app.stale) return [];
  const since = clock(source.contact, app.now);
  return [h('div', {class: 'banner s-warn', key: 'stale'}, h('div', {}, icon('warn', 'st'), h('b', {}, source.reachable ? `Monitor silent since ${since}` : `No answer since ${since}`),
    h('span', {}, 'data is ', h('span', {'data-ago': source.contact}), ' old. Services may be fine or not: ', source.reachable ? 'nobody is checking. ' : 'nobody can tell from here. ', 'Last known state below.')))];
}

const KEYS = [['/', 'filter'], ['j k', 'move'], ['r', 'restart'], ['l', 'logs'], ['a', 'alerts'], ['?', 'help']];
export function foot(app) {
  const {doc} = app.store, {source} = app;
  if (!doc || source.mode === 'login') return [];
  return [h('span', {}, `keepwell ${visible(doc.version)} on ${visible(doc.host)}, up ${duration(doc.uptime_s + (app.now - Date.parse(doc.generated_at)) / 1e3)}`),
    h('span', {}, source.live ? 'live, every change at once' : `status.json every ${doc.interval_s} s`),
    h('button', {type: 'button', class: 'hide-s keys', onclick: () => app.help(), 'aria-label': 'Keys'}, KEYS.filter(([k]) => source.live || !'rl'.includes(k)).map(([k, word]) => [h('span', {class: 'kbd'}, k), word]))];
}

/** The dialogs: help for the keys, and a question with yes and no. */
export class Dialogs {
  #el;
  constructor() {
    this.#el = document.getElementById('dialog');
    this.#el.addEventListener('click', (event) => { if (event.target === this.#el) this.#el.close('no'); });
  }
  get open() { return this.#el.open; }
  ask(head, text, yes) {
    return this.#show([h('h2', {id: 'dialog-h'}, head), text ? h('p', {class: 'i2'}, text) : null, h('div', {class: 'acts'},
      h('button', {type: 'button', class: 'btn', onclick: () => this.#el.close('no')}, 'Cancel'), h('button', {type: 'button', class: 'btn primary', autofocus: true, onclick: () => this.#el.close('yes')}, yes))]).then((x) => x === 'yes');
  }
  help(live) {
    const rows = [['/', 'Filter or search'], ['j', 'Next service'], ['k', 'Service before'], ['Enter', 'Open it'], ...(live ? [['r', 'Restart the service in focus'], ['l', 'Logs of the service in focus']] : []), ['a', 'Alerts'], ['?', 'This list'], ['Esc', 'Close, or clear the filter']];
    return this.#show([h('h2', {id: 'dialog-h'}, 'Keys'), h('dl', {class: 'keylist'}, rows.map(([k, text]) => h('div', {key: k}, h('dt', {}, h('span', {class: 'kbd'}, k)), h('dd', {}, text)))), h('div', {class: 'acts'}, h('button', {type: 'button', class: 'btn', autofocus: true, onclick: () => this.#el.close('no')}, 'Close'))]);
  }
  #show(children) {
    if (this.#el.open) return Promise.resolve('no');
    patch(this.#el, children);
    this.#el.returnValue = '';
    this.#el.showModal();
    this.#el.querySelector('[autofocus]')?.focus();
    return new Promise((resolve) => this.#el.addEventListener('close', () => resolve(this.#el.returnValue), {once: true}));
  }
}

/** Results of what was asked for; they go by themselves. */
export class Toasts {
  #list = []; #id = 0; #el = document.getElementById('toasts');
  add(text, color) {
    const item = {id: ++this.#id, text, color};
    this.#list = [...this.#list.slice(-3), item];
    this.#draw();
    setTimeout(() => this.#drop(item.id), color === 'down' ? 12e3 : 5e3);
  }
  #drop(id) {
    this.#list = this.#list.filter((x) => x.id !== id);
    this.#draw();
  }
  #draw() {
    patch(this.#el, this.#list.map((x) => h('div', {class: `toast s-${x.color}`, key: x.id}, icon(x.color, 'st'), h('span', {}, visible(x.text)), h('button', {type: 'button', class: 'btn ghost icon small', 'aria-label': 'Close', onclick: () => this.#drop(x.id)}, '×'))));
  }
}
