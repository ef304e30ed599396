// The small pieces that pages share: state, timer, counter, buttons, empty cards. Elements that tick carry their time in
// data-count, data-ago or data-from/data-to; ticking.js writes them.
import {h, s} from './dom.js';
import {icon} from './icons.js';
import {look, next, title} from './words.js';

export function state(v, withLife = false) {
  const [color, shape, word, life] = look(v);
  return h('span', {class: 'state s-' + color}, icon(shape), h('span', {}, word, withLife && life ? h('span', {class: 'i2'}, ' · ' + life) : null));
}
export const ago = (at, cls = '') => (at ? h('span', {class: cls, 'data-ago': at}) : h('span', {class: cls}, '–'));
export const count = (at, cls = '') => h('b', {class: cls, 'data-count': at});

export function timer(v, doc) {
  const n = next(v, doc);
  if (!n.at || Number.isNaN(n.at)) return h('div', {class: 'timer', key: 'timer'});
  return h('div', {class: 'timer s-' + look(v)[0], key: 'timer'}, h('span', {}, n.label),
    n.verb ? h('span', {class: 'sm i2'}, 'next try in ', count(n.at)) : count(n.at),
    s('svg', {viewBox: '0 0 100 3', preserveAspectRatio: 'none', 'aria-hidden': 'true'}, s('rect', {class: 'meter-bg', width: 100, height: 3}),
      n.from ? s('rect', {class: 'meter', height: 3, 'data-from': n.from, 'data-to': n.at}) : null));
}

/** Boxes and `2/3`: amber below the threshold, state colour from it on; `0/3` without boxes. */
export function counter(c) {
  const most = c.failures ?? 1, k = Math.min(c.consecutive_failures, most);
  if (!c.consecutive_failures) return h('span', {class: 'i3'}, `0/${most}`);
  const color = k >= most && c.effect === 'down' ? 's-down' : 's-warn', boxes = Math.min(most, 10);
  return h('span', {class: 'ctr ' + color}, s('svg', {viewBox: `0 0 ${boxes * 6} 10`, width: boxes * 6, 'aria-hidden': 'true'},
    Array.from({length: boxes}, (_, i) => s('rect', {class: i < Math.ceil(k / most * boxes) ? 'ct1' : 'ct0', x: i * 6 + 0.5, y: 0.5, width: 4, height: 9}))),
  `${c.consecutive_failures > most ? most : k}/${most}`);
}

export function button(text, attrs = {}) {
  const {icon: shape, cls = '', busy, ...rest} = attrs;
  return h('button', {type: 'button', class: ('btn ' + cls).trim(), 'aria-busy': busy ? 'true' : null, disabled: busy || undefined, ...rest},
    shape ? icon(shape) : null, text);
}
export const link = (text, href, cls = 'btn') => h('a', {class: cls, href}, text);

/** A button that opens a list of buttons; Escape and a click elsewhere close it (main.js). */
export function menu(label, items, {cls = '', name = null, key} = {}) {
  return h('details', {class: 'more', key}, h('summary', {class: ('btn ' + cls).trim(), 'aria-label': name, role: 'button'}, label),
    h('div', {class: 'menu', role: 'group'}, items.filter(Boolean).map(([text, onclick]) => h('button', {type: 'button',
      onclick: (event) => {
        event.currentTarget.closest('details').open = false;
        onclick();
      }}, text))));
}

export function empty(shape, head, text, {pre = null, more = null, level = 'h1'} = {}) {
  return h('div', {class: 'card void'}, icon(shape), h(level, {}, head), h('p', {}, text), pre ? h('pre', {tabindex: 0, 'aria-label': 'Commands'}, pre) : null, more);
}
export const note = (...text) => h('p', {class: 'card need'}, text);

export function section(head, extra, ...children) {
  return h('section', {class: 'sec'}, h('div', {class: 'sec-h'}, h('h2', {class: 'grow'}, head), extra), children);
}
/** Buttons of which one is pressed: [[value, text]…]. */
export function segments(label, choices, chosen, choose) {
  return h('div', {class: 'seg', role: 'group', 'aria-label': label}, choices.map(([value, text]) => h('button', {type: 'button', key: value,
    'aria-pressed': String(Array.isArray(chosen) ? chosen.includes(value) : chosen === value), onclick: () => choose(value)}, text)));
}
export const field = (attrs) => h('input', {class: 'field', autocomplete: 'off', spellcheck: 'false', ...attrs});

export function skeleton(rows = 6) {
  return h('div', {class: 'card', 'aria-hidden': 'true'}, Array.from({length: rows}, () => h('div', {class: 'skrow'},
    h('div', {class: 'sk w2'}), h('div', {class: 'sk w1'}), h('div', {class: 'sk w3'}))));
}
export const unitHref = (key) => '#/s/' + encodeURIComponent(key);
export const logsHref = (key) => '#/logs?unit=' + encodeURIComponent(key);
export const nameOf = (doc, key) => (Object.hasOwn(doc.services, key) ? title(doc.services[key]) : key);
