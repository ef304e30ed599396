// History: 90 days of every service at a glance, or one service over a chosen range: availability, latency, processor and
// memory. What was not measured stays empty.
import {h, memo} from './dom.js';
import {bar, chart} from './charts.js';
import {barLetters, dayLetters, historyPath, ratioOf, ratios, series} from './history_data.js';
import {empty, field, link, note, section, segments, skeleton, state, unitHref} from './parts.js';
import {bytes, clock, cpu, day, failure, fullTime, percent, plural, title, visible} from './words.js';

const RANGES = [['1h', '1 h'], ['24h', '24 h'], ['7d', '7 d'], ['90d', '90 d']];

export function history(app) {
  const key = app.store.route.arg;
  if (!key) return everything(app);
  const v = app.store.unit(key);
  if (!v) return [empty('inbox', 'No such service', `There is no service "${visible(key)}".`, {more: link('All services', '#/history')})];
  return one(app, v);
}

// Rows ask for their own answer when they come into view, a few at a time.
const queue = {wanted: new Map(), running: 0};
function want(app, key) {
  if (queue.wanted.has(key)) return;
  queue.wanted.set(key, null);
  pump(app);
}
async function pump(app) {
  while (queue.running < 3) {
    const key = [...queue.wanted].find(([, x]) => x === null)?.[0];
    if (key === undefined) return;
    queue.wanted.set(key, {busy: true});
    queue.running++;
    app.source.get(historyPath(key, '90d')).then((answer) => {
      queue.running--;
      queue.wanted.set(key, {data: answer.ok ? answer.data : null, code: answer.code, error: answer.error, at: Date.now()});
      app.render();
      pump(app);
    });
  }
}
let watcher = null;
function watch(app, el, key) {
  watcher ||= new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) {
      watcher.unobserve(entry.target);
      want(app, entry.target.dataset.key);
    }
  }, {rootMargin: '200px'});
  watcher.observe(el);
}

function everything(app) {
  const {store} = app, find = store.param('q').toLowerCase(), list = store.list.filter((v) => !find || `${v.name} ${v.key} ${v.group}`.toLowerCase().includes(find));
  for (const [key, x] of queue.wanted) if (x?.at && Date.now() - x.at > 300e3) queue.wanted.set(key, null);
  const first = [...queue.wanted.values()].find((x) => x?.at);
  if (first?.code === 'no_history') return [head('History'), note(failure('Cannot read the history', first.error))];
  return [head('History', 'The last 90 days of every service; each bar is the worst of the day.'),
    h('section', {class: 'sec', key: 'all', 'aria-label': 'All services'}, h('div', {class: 'sec-h'}, h('h2', {class: 'grow'}, plural(list.length, 'service')), field({class: 'field q', type: 'search', placeholder: 'Filter services', 'aria-label': 'Filter services', value: store.param('q'), oninput: (event) => store.setParam('q', event.currentTarget.value)})),
      list.length ? h('ul', {class: 'card hist'}, list.map((v) => historyRow(app, v))) : note('No service matches.'))];
}
const head = (text, more) => h('div', {class: 'lead', key: 'lead'}, h('div', {class: 'grow'}, h('h1', {}, text), more ? h('p', {}, more) : null));
function historyRow(app, v) {
  const answer = queue.wanted.get(v.key);
  return memo(v.key, [v.name, v.health.status, v.state, v.paused, answer?.at].join('|'), () => {
    const days = answer?.data ? dayLetters(answer.data) : null, ratio = ratios(v, answer?.data);
    return h('li', {key: v.key, 'data-key': v.key, ref: (el) => watch(app, el, v.key)}, h('div', {class: 'two name'}, h('a', {href: `#/history/${encodeURIComponent(v.key)}`}, title(v)), h('small', {}, state(v))),
      days ? bar(days.text, {slots: 90, cls: 'beat', unit: 'day', what: 'last 90 days', at: days.at}) : answer?.at ? h('span', {class: 'i3 sm'}, failure('Cannot read it', answer.error)) : h('div', {class: 'sk', 'aria-hidden': 'true'}),
      h('span', {class: 'ratios'}, ratio.map(([k, r]) => h('span', {key: k}, h('span', {class: 'i3'}, k), ' ' + percent(r)))));
  }, {tag: 'li', attrs: {}, lazy: true});
}

function one(app, v) {
  const range = app.store.param('range') || '24h', answer = app.store.answer(historyPath(v.key, range), {seconds: 60});
  const top = h('div', {key: 'top'}, h('nav', {class: 'crumb', 'aria-label': 'Breadcrumb'}, h('a', {href: '#/history'}, 'History'), h('span', {'aria-hidden': 'true'}, '/'), h('a', {href: unitHref(v.key)}, 'Service page')),
    h('div', {class: 'title'}, h('h1', {class: 'grow'}, title(v), state(v, true)), segments('Range', RANGES, range, (x) => app.store.setParam('range', x === '24h' ? '' : x))));
  if (!answer) return [top, skeleton(5)];
  if (!answer.data) return [top, note(failure('Cannot read the history', answer.error))];
  const data = answer.data, words = range === '1h' || range === '24h' ? clock : (t) => day(t), points = data.points || [];
  if (!points.length) return [top, note('Nothing has been kept for this range yet. The first minute comes after a minute.')];
  const bars = range === '90d' ? dayLetters(data) : barLetters(data), limit = v.checks.find((c) => c.slow_ms != null)?.slow_ms ?? null;
  const plot = (text, figure, options) => {
    const one = series(data, figure);
    return one.values.some((x) => x != null) ? section(text, null, h('div', {class: 'card chart'}, chart({cls: 's-hold', ...one, bottomWords: words, label: `${text}, range ${range}`, ...options}))) : null;
  };
  return [top, section('Availability', h('span', {class: 'ratios'}, h('span', {}, h('span', {class: 'i3'}, 'in this range'), ' ' + percent(data.uptime_ratio ?? ratioOf(points)))),
    h('div', {class: 'card days'}, bar(bars.text, {slots: bars.slots, cls: 'beat90', unit: range === '90d' ? 'day' : 'time', what: `range ${range}`, at: bars.at}), h('div', {class: 'ends'}, h('span', {}, words(bars.at(0))), h('span', {}, 'each bar: the worst in it'), h('span', {}, 'now')))),
  plot('Latency', 'latency_ms', {limit, cls: 's-' + (v.health.status === 'degraded' ? 'warn' : 'hold')}), plot('CPU', 'cpu_percent', {format: cpu}), plot('Memory', 'memory_bytes', {format: bytes}), changes(app, data)];
}
function changes(app, data) {
  const all = [...(data.changes || [])].reverse().slice(0, 60);
  if (!all.length) return null;
  return section('Changes', null, h('ul', {class: 'card changes'}, all.map((c, i) => h('li', {key: `${c.time} ${i}`}, h('time', {datetime: c.time, title: fullTime(c.time)}, clock(c.time, app.now)),
    state({state: c.state, health: {status: c.health}, kind: ''}), h('span', {class: 'i2'}, c.state), h('span', {class: 'i2'}, visible(c.reason))))));
}
