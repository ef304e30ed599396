// Bars, sparklines and the latency chart as SVG by attributes. One path a colour, never a node a step; gaps stay gaps and
// nothing is smoothed. What a bar shows under the pointer is its tip().
import {h, s, patch} from './dom.js';
import {STEP_WORDS, barLabel, clock, clockSeconds, day, ms, plural, time} from './words.js';

const TALL = {U: 11, G: 17, D: 22, X: 5, P: 12, n: 3}; // taller is worse
const PITCH = 5, HEIGHT = 22;

/** A bar of steps. `at(i)` is the time of a step in milliseconds, `unit` 'day' or 'time', `what` what it covers. */
export function bar(states, {slots = 60, cls = 'beat', unit = 'time', what = 'last 30 minutes', at = null} = {}) {
  const text = (states || '').padStart(slots, 'n').slice(-slots), paths = {};
  for (let i = 0; i < text.length; i++) {
    const c = TALL[text[i]] ? text[i] : 'X', tall = TALL[c], inset = c === 'P' ? 0.5 : 0, y = (HEIGHT - tall) / 2 + inset;
    const wide = (3.2 - 2 * inset).toFixed(1), high = tall - 2 * inset;
    paths[c] = (paths[c] || '') + `M${i * PITCH + inset} ${y}h${wide}v${high}h-${wide}z`;
  }
  const say = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const i = Math.min(slots - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * slots))), word = STEP_WORDS[text[i]] || 'unknown';
    const back = slots - 1 - i;
    if (unit === 'day') tip(event, `${back ? (at ? day(at(i)) : plural(back, 'day') + ' ago') : 'today'}: ${word}`);
    else tip(event, at ? `${clockSeconds(at(i))}  ${word}` : word);
  };
  return s('svg', {class: cls, viewBox: `0 0 ${slots * PITCH - 1.8} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img',
    'aria-label': barLabel(text, what), onpointermove: say, onpointerleave: hideTip},
  Object.entries(paths).map(([c, d]) => s('path', {key: c, class: 'b-' + c, d})));
}

let tipAt = null;
/** Shows text beside the pointer. */
export function tip(event, text) {
  tipAt ||= document.getElementById('tip');
  if (!tipAt) return;
  tipAt.textContent = text;
  tipAt.hidden = false;
  const x = Math.max(4, Math.min(innerWidth - tipAt.offsetWidth - 8, event.clientX + 10)), y = Math.max(4, event.clientY - 32);
  tipAt.style.setProperty('transform', `translate(${x}px,${y}px)`);
}
export function hideTip() {
  if (tipAt) tipAt.hidden = true;
}

/** [line, area] through the values that are there. */
export function paths(values, width, height, top, bottom = 0) {
  let line = '', area = '', from = null, last = null;
  const x = (i) => (values.length < 2 ? width : i / (values.length - 1) * width).toFixed(1);
  const y = (v) => (height - (Math.min(v, top) - bottom) / (top - bottom || 1) * height).toFixed(1);
  values.forEach((v, i) => {
    if (v == null) {
      if (from !== null) area += `L${last} ${height}L${from} ${height}Z`;
      from = null;
      return;
    }
    if (from === null) {
      from = x(i);
      area += `M${from} ${height}L${from} ${y(v)}`;
      line += `M${from} ${y(v)}`;
      if (values[i + 1] == null) line += 'h.1'; // a point of its own
    } else {
      line += `L${x(i)} ${y(v)}`;
      area += `L${x(i)} ${y(v)}`;
    }
    last = x(i);
  });
  if (from !== null) area += `L${last} ${height}L${from} ${height}Z`;
  return [line, area];
}

export function spark(values, {max = null, second = null, cls = ''} = {}) {
  const known = [...values, ...(second || [])].filter((v) => v != null), top = max ?? (Math.max(...known, 0.001) * 1.15);
  const [line, area] = paths(values, 100, 30, top);
  return s('svg', {class: cls ? 'spark ' + cls : 'spark', viewBox: '0 0 100 30', preserveAspectRatio: 'none', 'aria-hidden': 'true'},
    s('path', {class: 'area', d: area}), s('path', {class: 'line', d: line}), second ? s('path', {class: 'line b', d: paths(second, 100, 30, top)[0]}) : null);
}

/** The first round number from `top` on. */
export function nice(top) {
  if (!(top > 0)) return 1;
  const ten = 10 ** Math.floor(Math.log10(top));
  return [1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10].map((f) => f * ten).find((v) => v >= top * 0.999);
}

let watcher = null;
/** A chart of `values` (newest last) between two times, drawn at the width that it has: text is never scaled.
 *  `misses` are the indexes of failed steps, `limit` a dashed line, `format` writes a value. */
export function chart(options) {
  return h('figure', {class: options.cls, own: true, ref: attach, model: options, onpointerleave: hideTip,
    onpointermove: (event) => sayPoint(event, options)});
}
function attach(figure) {
  watcher ||= new ResizeObserver((entries) => {
    for (const entry of entries) draw(entry.target, Math.round(entry.contentRect.width));
  });
  watcher.observe(figure);
  figure.takes = () => figure.drawn && draw(figure, figure.drawn.width);
}
function draw(figure, width) {
  if (!figure.isConnected) watcher.unobserve(figure);
  const stamp = JSON.stringify(figure.model);
  if (!width || (figure.drawn?.width === width && figure.drawn.stamp === stamp)) return;
  figure.drawn = {width, stamp};
  patch(figure, [drawing(figure.model, width)]);
}
const LEFT = 52, PLOT = 150, TOP = 12;
function drawing({values, misses = [], limit = null, from, to, label, format = ms, bottomWords = clock}, width) {
  // A limit far above everything measured would press the line to the ground: it is said, not drawn.
  const known = values.filter((v) => v != null), most = Math.max(...known, 0), far = limit && limit > most * 4, top = nice(Math.max(most * 1.05, far ? 0 : (limit || 0) * 1.1)), wide = Math.max(10, width - LEFT);
  const [line, area] = paths(values, wide, PLOT, top), x = (i) => (values.length < 2 ? wide : i / (values.length - 1) * wide);
  const marks = width > 500 ? [0, 0.25, 0.5, 0.75, 1] : [0, 0.5, 1];
  return s('svg', {viewBox: `0 0 ${width} 190`, width, height: 190, role: 'img', 'aria-label': label},
    [0, 0.5, 1].map((f) => [s('line', {class: 'gridl', x1: LEFT, x2: width, y1: TOP + PLOT - f * PLOT, y2: TOP + PLOT - f * PLOT}),
      s('text', {class: 'axis', x: LEFT - 8, y: TOP + 4 + PLOT - f * PLOT, 'text-anchor': 'end'}, f === 0 ? '0' : format(top * f))]),
    s('g', {transform: `translate(${LEFT} ${TOP})`}, s('path', {class: 'area', d: area}), s('path', {class: 'line', d: line}),
      s('path', {class: 'miss', d: misses.map((i) => `M${(x(i) - 3).toFixed(1)} ${PLOT - 6}h6v6h-6z`).join('')})),
    far ? s('text', {class: 'axis', x: width, y: TOP + 14, 'text-anchor': 'end'}, `limit ${format(limit)}, far above`) : null,
    limit && limit <= top ? [s('line', {class: 'limit', x1: LEFT, x2: width, y1: TOP + PLOT - limit / top * PLOT, y2: TOP + PLOT - limit / top * PLOT}),
      s('text', {class: 'axis limit-t', x: width, y: TOP - 5 + PLOT - limit / top * PLOT, 'text-anchor': 'end'}, 'limit ' + format(limit))] : null,
    marks.map((f) => s('text', {class: 'axis', x: LEFT + f * wide, y: PLOT + 32, 'text-anchor': f === 0 ? 'start' : f === 1 ? 'end' : 'middle'},
      bottomWords(time(from) + f * (time(to) - time(from))))));
}
function sayPoint(event, {values, misses = [], from, to, format = ms, bottomWords = clockSeconds}) {
  const box = event.currentTarget.getBoundingClientRect(), wide = box.width - LEFT, f = (event.clientX - box.left - LEFT) / wide;
  if (f < 0 || !values.length) return hideTip();
  const i = Math.max(0, Math.min(values.length - 1, Math.round(f * (values.length - 1))));
  const at = time(from) + i / Math.max(1, values.length - 1) * (time(to) - time(from));
  return tip(event, `${bottomWords(at)}  ${misses.includes(i) ? 'failed' : values[i] == null ? 'no value' : format(values[i])}`);
}
