// Log lines: the shape of one line, and the ring of at most 5,000 that is drawn once a frame. The list's elements belong to
// the ring alone, so a busy log costs what is new and nothing else.
import {h, patch} from './dom.js';
import {clockSeconds, day, fullTime, millis, plural, visible} from './words.js';

const COLORS = {critical: 'down', error: 'down', warning: 'warn', info: 'mute', debug: 'mute', '': 'mute'};
/** What a level is called in a request and on the page. */
export const LEVELS = [['error', 'error'], ['warn', 'warning'], ['info', 'info'], ['debug', 'debug']];
const levelOf = (word) => (word === 'warn' ? 'warning' : COLORS[word] ? word : '');
export const MOST = 5000;
/** The last `room` of them. */
export const newest = (lines, room) => lines.slice(Math.max(0, lines.length - Math.max(0, room)));

/** A line as a description; `mark` finds the part to mark: (text) → [from, to] or null. */
export function logLine(l, {key, unit = false, mark = null} = {}) {
  const level = levelOf(l.level ?? ''), text = visible(l.message), at = mark?.(text);
  // A line of a file that has no times in it has none here either.
  const timed = Date.parse(l.timestamp) > 0, today = new Date(l.timestamp).toDateString() === new Date().toDateString();
  return h('li', {key, class: `l-${level || 'none'} s-${COLORS[level]}`}, timed ? h('time', {datetime: l.timestamp, title: fullTime(l.timestamp)}, today ? '' : day(l.timestamp) + ' ', clockSeconds(l.timestamp), h('span', {}, '.' + millis(l.timestamp))) : h('span', {class: 'i3'}, '–'),
    h('span', {class: 'lv'}, level), unit ? h('span', {class: 'u cut'}, visible(l.daemon ?? '')) : null,
    h('span', {class: 'm'}, at ? [text.slice(0, at[0]), h('mark', {}, text.slice(at[0], at[1])), text.slice(at[1])] : text));
}

/** What marks the matches of a search: literal or a regular expression; null when it is none. */
export function marker(query, isRegex) {
  if (!query) return null;
  if (!isRegex) {
    const want = query.toLowerCase();
    return (text) => { const i = text.toLowerCase().indexOf(want); return i < 0 ? null : [i, i + want.length]; };
  }
  try {
    const re = new RegExp(query, 'i');
    // A line as long as the server sends would let a careless expression hold the page.
    return (text) => { const m = text.length > 2000 ? null : re.exec(text); return m && m[0] ? [m.index, m.index + m[0].length] : null; };
  } catch {
    return null;
  }
}

export class LogRing {
  total = 0; // lines that ever came
  held = []; // came while paused
  paused = false;
  count = 0; // lines in the list
  #waiting = []; #frame = 0; #list = null; #box = null; #changed;
  mark = null;

  constructor(changed) { this.#changed = changed; }

  attach(box) {
    this.#box = box;
    this.#list = document.createElement('ol');
    this.#list.className = 'log-lines';
    box.replaceChildren(this.#list);
    box.addEventListener('scroll', () => this.#changed('scroll'), {passive: true});
  }
  clear() {
    this.#waiting = [];
    this.held = [];
    this.count = this.total = 0;
    this.#list?.replaceChildren();
  }
  /** Lines or gaps ({gap: count}) at the end. */
  add(lines) {
    if (!lines.length) return;
    this.total += lines.length;
    if (this.paused) {
      this.held.push(...lines);
      if (this.held.length > MOST) this.held.splice(0, this.held.length - MOST);
      this.#changed('held');
      return;
    }
    this.#waiting.push(...lines);
    if (this.#waiting.length > MOST) this.#waiting.splice(0, this.#waiting.length - MOST);
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }
  /** Older lines in front, as many as there is room for. */
  addBefore(lines) {
    const part = newest(lines, MOST - this.count), height = this.#box.scrollHeight, top = this.#box.scrollTop;
    this.#list.prepend(...part.map((l) => this.#element(l)));
    this.count += part.length;
    this.#box.scrollTop = top + this.#box.scrollHeight - height;
  }
  pause(on) {
    this.paused = on;
    if (!on) {
      const held = this.held;
      this.held = [];
      this.total -= held.length;
      this.add(held);
      this.toEnd();
    }
  }
  toEnd() { if (this.#box) this.#box.scrollTop = this.#box.scrollHeight; }
  get atEnd() { return !this.#box || this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < 40; }

  #draw() {
    this.#frame = 0;
    if (!this.#list) return;
    // A frame takes 400 lines; more wait for the next one.
    const lines = this.#waiting.splice(0, 400), follow = this.atEnd, part = document.createDocumentFragment();
    for (const l of lines) part.append(this.#element(l));
    this.#list.append(part);
    this.count += lines.length;
    for (; this.count > MOST; this.count--) this.#list.firstChild.remove();
    if (follow) this.toEnd();
    if (this.#waiting.length) this.#frame = requestAnimationFrame(() => this.#draw());
    this.#changed('drawn');
  }
  #element(l) {
    const holder = document.createDocumentFragment();
    patch(holder, [l.gap ? h('li', {class: 'gap'}, l.text || `${plural(l.gap, 'line')} lost here: the reader was too slow`) : logLine(l, {unit: true, mark: this.mark})]);
    return holder.firstChild;
  }
}
