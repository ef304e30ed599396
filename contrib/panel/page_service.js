// One service: verdict with what comes next, facts, checks with counters, latency, 90 days, the causal timeline and the
// last log lines. Without the API the parts that need it are one sentence.
import {h} from './dom.js';
import {bar, chart} from './charts.js';
import {icon} from './icons.js';
import {logLine} from './log_view.js';
import {linesOf} from './page_logs.js';
import {act, justLookedAt, mainAction, pauseMenu, stepTime} from './page_overview.js';
import {ago, button, counter, empty, link, logsHref, menu, nameOf, note, section, segments, skeleton, state, timer, unitHref} from './parts.js';
import {RANGES, dayLetters, historyPath, ratios, series} from './history_data.js';
import {bytes, clock, compact, clockSeconds, duration, fullTime, failure, isProblem, lastExit, look, ms, next, padded, percent, rank, reason, spoken, stoppedOnPurpose, time, title, visible} from './words.js';

export function service(app) {
  const v = app.store.unit(app.store.route.arg);
  if (!v) return [empty('inbox', 'No such service', `There is no service "${visible(app.store.route.arg)}" on ${app.store.doc.host}.`, {more: link('All services', '#/')})];
  const key = 'service ' + v.key, extra = app.source.live;
  return [h('div', {key}, head(app, v)), verdict(app, v), facts(app, v), h('div', {class: 'cols dim' + (extra ? '' : ' one'), key: key + ' cols'},
    h('div', {class: 'stack', key: 'left'}, checks(app, v), latency(app, v), days(app, v)), extra ? h('div', {class: 'stack', key: 'right'}, timeline(app, v), policy(app, v)) : null),
  extra ? lastLines(app, v) : note('The incident timeline, 90 days of history and the log come from the keepwell API. This page reads status.json only.')];
}

function head(app, v) {
  const doing = app.actions.doing(v.key);
  return [h('nav', {class: 'crumb', 'aria-label': 'Breadcrumb'}, h('a', {href: '#/'}, 'Overview'), h('span', {'aria-hidden': 'true'}, '/'), h('span', {}, visible(v.group || 'services'))),
    h('div', {class: 'title'}, h('div', {class: 'grow'}, h('h1', {}, title(v), state(v, true), v.critical ? h('span', {class: 'chip'}, 'critical') : null,
      doing ? h('span', {class: 'chip'}, doing + '…') : null), v.description ? h('p', {class: 'i2 about'}, visible(v.description)) : null), app.canControl ? h('div', {class: 'acts'}, buttons(app, v)) : null)];
}
function buttons(app, v) {
  const external = v.kind === 'external', looked = justLookedAt(v), running = v.desired_state === 'running' && v.state !== 'failed';
  return [mainAction(app, v, rank(v) === 0 ? 'primary' : ''),
    looked || !v.checks.length ? null : act(app, v, 'check', 'Check now', {icon: 'retry'}),
    v.paused ? act(app, v, 'resume', 'Resume') : pauseMenu(app, v),
    external ? null : menu(icon('more'), [
      running ? ['Stop', () => app.actions.confirmed('stop', v.key, looked ? 'Its processes are ended, and nobody here can start it again.' : 'It stays stopped until somebody starts it again.')] : null,
      running && !looked ? ['Restart', () => app.actions.confirmed('restart', v.key, 'It is stopped and started again.')] : null,
      running ? ['Reload', () => app.actions.run('reload', v.key)] : null,
      ['Reset counters', () => app.actions.run('reset', v.key)]], {cls: 'ghost icon', name: 'More actions', key: 'more'})];
}

function verdict(app, v) {
  if (!isProblem(v)) return null;
  const {doc} = app.store, [color, shape] = look(v), n = next(v, doc);
  return h('div', {class: `card verdict s-${color}`, key: 'verdict'}, icon(shape, 'st'), h('div', {}, h('p', {class: 'why'}, reason(v, doc, app.now)), n.text ? h('p', {class: 'next'}, n.text) : null,
    v.blocked_by && rank(v) < 2 ? h('p', {class: 'next'}, link('Open ' + nameOf(doc, v.blocked_by), unitHref(v.blocked_by), 'under')) : null), timer(v, doc));
}

function facts(app, v) {
  const {doc} = app.store, r = v.restarts;
  const rows = [['Kind', v.kind], ['pid', v.pid ?? '–'], ['Up for', v.started_at ? h('span', {'data-ago': v.started_at}) : '–'],
    ['Restarts', `${r.total ?? '–'}${r.last_at ? `, last ${clock(r.last_at, app.now)}` : ''}`], ['CPU', v.cpu_percent == null ? '–' : v.cpu_percent.toFixed(1) + ' %'],
    ['Memory', bytes(v.memory_bytes)], ['Last exit', lastExit(v.last_exit)],
    ['Needs', v.requires?.length ? v.requires.map((k, i) => [i ? ', ' : '', link(nameOf(doc, k), unitHref(k), 'under')]) : 'nothing']];
  return h('dl', {class: 'card facts dim', key: 'facts'}, rows.map(([k, x]) => h('div', {key: k}, h('dt', {}, k), h('dd', {}, x))),
    v.status_text ? h('div', {class: 'wide', key: 'says'}, h('dt', {}, 'It says'), h('dd', {}, visible(v.status_text))) : null);
}

// -- checks

const RESULT = {pass: ['ok', 'ok', 'Passed'], warn: ['warn', 'warn', 'Slow']};
function result(c) {
  if (c.status === 'fail') return [c.effect === 'down' ? 'down' : 'warn', c.effect === 'down' ? 'down' : 'warn', 'Failed'];
  if (c.status === 'warn' && !(c.slow_ms != null && c.duration_ms > c.slow_ms)) return ['warn', 'warn', 'Warning'];
  return RESULT[c.status] || ['mute', 'mute', 'Not run'];
}
function checks(app, v) {
  const extra = v.last_checked ? h('span', {class: 'sm i3'}, 'checked ', ago(v.last_checked), ' ago') : null;
  if (!v.checks.length) return section('Checks', null, note('No checks: it is healthy while its process runs.'));
  const live = app.source.live ? app.store.answer('api/checks', {stamp: app.store.stamps.get(v.key), seconds: 20})?.data?.checks : null;
  const more = new Map((live || []).filter((c) => c.service === v.key).map((c) => [c.id, c]));
  const column = (text, cls = '') => h('div', {role: 'columnheader', class: cls}, text);
  return h('section', {class: 'sec', key: 'checks'}, h('div', {class: 'sec-h'}, h('h2', {class: 'grow'}, 'Checks'), extra),
    h('div', {class: 'card checks', role: 'table', 'aria-label': 'Checks'}, h('div', {class: 'head', role: 'row'}, column('Result'), column('Check'), column('Failed'), column('Last answer'), column('Took', 'num'), column('Ago', 'num'), column(h('span', {class: 'sr'}, 'Actions'))),
      v.checks.map((c) => checkRow(app, v, c, more.get(c.id)))));
}
function checkRow(app, v, c, live) {
  const [color, shape, word] = result(c), enabled = live?.enabled ?? c.enabled ?? true, cell = (cls, ...kids) => h('div', {role: 'cell', class: cls}, kids);
  const about = [c.type, c.effect === 'down' ? '' : c.effect === 'none' ? 'no effect' : `only ${c.effect}`, c.heals === false && c.effect === 'down' ? 'never restarts' : '', enabled ? '' : 'switched off'].filter(Boolean).join(' · ');
  const busy = (verb) => app.actions.busy.has(`${v.key} ${c.id} ${verb}`), run = (verb) => () => app.actions.check(v.key, c.id, verb);
  return h('div', {class: 'row', role: 'row', key: c.id}, cell('k-res', enabled ? h('span', {class: 'state s-' + color}, icon(shape), word) : h('span', {class: 'state s-mute'}, icon('stop'), 'Off')),
    cell('two k-id', h('span', {}, visible(c.id)), h('small', {}, about)), cell('k-ctr', counter(c)), cell('out i2', visible(c.output) || (c.status === 'unknown' ? 'not run yet' : 'ok')),
    cell('num', ms(c.duration_ms)), cell('num', ago(c.time)),
    cell('k-act', app.canControl ? menu(icon('more'), [['Run now', run('run')], enabled ? ['Switch off', run('disable')] : ['Switch on', run('enable')]], {cls: 'ghost icon small', name: `Actions of the check ${c.id}`}) : null,
      busy('run') ? h('span', {class: 'sr'}, 'running') : null));
}

// -- latency and days

function latency(app, v) {
  const past = padded(v.history?.latency_ms || []), range = app.store.param('range') || '30m', live = app.source.live;
  if (!past.some((x) => x != null) && range === '30m') return null;
  const limit = v.checks.find((c) => c.slow_ms != null && c.status !== 'unknown')?.slow_ms ?? null, color = 's-' + (v.health.status === 'degraded' ? 'warn' : 'hold');
  const extra = live ? segments('Range', RANGES, range, (x) => app.store.setParam('range', x === '30m' ? '' : x)) : h('span', {class: 'sm i3'}, 'last 30 min');
  return h('section', {class: 'sec', key: 'latency'}, h('div', {class: 'sec-h'}, h('h2', {class: 'grow'}, 'Latency'), extra), h('div', {class: 'card chart'}, range === '30m' ? recent(app, v, past, limit, color) : older(app, v, range, limit, color)));
}
function recent(app, v, values, limit, cls) {
  const step = v.history.step_s, to = time(app.store.doc.generated_at), states = v.history.states.slice(-values.length).padStart(values.length, 'n');
  return chart({cls, values, limit, from: to - (values.length - 1) * step * 1e3, to, misses: values.map((x, i) => (x == null && states[i] === 'D' ? i : -1)).filter((i) => i >= 0),
    label: `latency of the last ${duration(values.length * step)}, now ${ms(v.health.responseTime)}`});
}
function older(app, v, range, limit, cls) {
  const answer = app.store.answer(historyPath(v.key, range), {seconds: 60});
  if (!answer) return h('div', {class: 'sk chart-sk', 'aria-hidden': 'true'});
  if (!answer.data) return h('p', {class: 'i3'}, failure('Cannot read the history', answer.error));
  const one = series(answer.data, 'latency_ms');
  if (!one.values.some((x) => x != null)) return h('p', {class: 'i3'}, 'No latency was kept for this range yet.');
  return chart({cls, limit, ...one, bottomWords: range === '24h' ? clock : (t) => clock(t, 0).replace(/ \d\d:\d\d$/, ''), label: `latency, range ${range}`});
}
function days(app, v) {
  const live = app.source.live, answer = live ? app.store.answer(historyPath(v.key, '90d'), {seconds: 300}) : null, past = v.history, span = past ? spoken(60 * past.step_s) : '30 min';
  const letters = answer?.data ? dayLetters(answer.data) : null, ratio = ratios(v, answer?.data);
  const figures = h('span', {class: 'ratios'}, ratio.map(([k, r]) => h('span', {key: k}, h('span', {class: 'i3'}, k), ' ' + percent(r))));
  const ends = (...texts) => h('div', {class: 'ends'}, texts.map((t) => h('span', {}, t)));
  return h('section', {class: 'sec', key: 'days'}, h('div', {class: 'sec-h'}, h('h2', {class: 'grow'}, letters ? '90 days' : `Last ${span}`), figures),
    h('div', {class: 'card days'}, past ? bar(past.states, {at: stepTime(app.store.doc, past), what: `last ${span}`}) : null, past ? ends(`${span} ago`, 'now') : null,
      letters ? [bar(letters.text, {key: 'days', slots: 90, cls: 'beat90', unit: 'day', what: 'last 90 days', at: letters.at}), ends('90 days ago', 'each bar: the worst of the day', 'today')] : null,
      live && v.health ? h('p', {class: 'xs more-link'}, link('History', `#/history/${encodeURIComponent(v.key)}`, 'under')) : null));
}

// -- timeline

const NODES = {check: ['dot', 'mute'], down: ['down', 'down'], verdict: ['down', 'down'], decide: ['decide', ''], decision: ['decide', ''], stop: ['stopsq', ''], exit: ['exit', ''], backoff: ['cool', 'warn'], cooldown: ['cool', 'warn'],
  start: ['play', ''], healthy: ['ok', 'ok'], degraded: ['warn', 'warn'], hold: ['hold', 'hold'], wait: ['hold', 'hold'], pause: ['pause', 'pause'], next: ['hold', 'hold'], operator: ['key', '']};
export function nodeOf(kind, text) {
  if (kind === 'verdict' || kind === 'health') return /healthy/.test(text) ? NODES.healthy : /degraded/.test(text) ? NODES.degraded : NODES.down;
  return NODES[kind] || ['dot', ''];
}
function timeline(app, v) {
  const answer = app.store.answer(`api/why/${encodeURIComponent(v.key)}`, {stamp: [v.state, v.health.status, v.restarts.total, v.restarts.next_attempt_at, v.reason].join('|'), seconds: 30});
  if (!answer) return section('Last incident', null, skeleton(4));
  if (!answer.data) return section('Last incident', null, note(failure('Cannot read what happened', answer.error)));
  const told = [...answer.data.incidents].reverse(), trouble = told.filter((x) => x.trouble !== false || !x.until), all = trouble.length ? trouble : told.slice(0, 1);
  const most = app.store.param('incidents') ? 20 : 2, open = all[0] && !all[0].until, word = !trouble.length && told.length ? 'Last start' : open ? 'Open incident' : 'Last incident';
  return h('section', {class: 'sec', key: 'why'}, h('div', {class: 'sec-h'}, h('h2', {class: 'grow'}, word)),
    all.length ? all.slice(0, most).map((x, i) => incident(app, x, i === 0 && answer.data.next)) : h('p', {class: 'card need'}, 'No incident that keepwell had to act on.'),
    all.length > most ? button(`Show ${Math.min(20, all.length) - most} earlier`, {cls: 'ghost', onclick: () => app.store.setParam('incidents', 'all')}) : null);
}
function incident(app, x, upcoming) {
  const all = compact(x.lines), most = app.store.param('incidents') ? 400 : 14, lines = all.slice(-most), hidden = all.length - lines.length + (x.left_out || 0), open = !x.until;
  return h('article', {class: 'card', key: 'incident ' + x.id}, h('div', {class: 'tl-h'}, h('h3', {}, open ? `Since ${clock(x.from, app.now)}` : `${clock(x.from, app.now)} to ${clock(x.until, app.now)}`, h('span', {class: 'i3'}, '  ', open ? ago(x.from) : duration(x.duration_s))),
    h('p', {class: 'sm i2'}, [x.reason, open && x.reason ? '' : x.summary].filter(Boolean).map(visible).join(', '))),
  h('ol', {class: 'tl'}, hidden > 0 ? h('li', {key: 'hidden'}, h('time', {}, ''), h('span', {class: 'node'}, icon('more')), h('span', {class: 'key'}, ''), h('div', {}, app.store.param('incidents') ? h('span', {class: 'i3'}, `${hidden} earlier entries`) : button(`Show ${hidden} earlier entries`, {cls: 'ghost inline', onclick: () => app.store.setParam('incidents', 'all')}))) : null,
    lines.map((e, i) => timelineEntry(e, hidden + i)),
    upcoming ? h('li', {class: open ? 's-hold' : 's-mute', key: 'next'}, h('time', {}, ''), h('span', {class: 'node'}, icon(open ? 'hold' : 'dot')), h('span', {class: 'key'}, 'next'), h('div', {class: 'i2'}, visible(upcoming))) : null));
}
export function timelineEntry(e, key) {
  const [shape, color] = nodeOf(e.kind, e.text || ''), quoted = e.detail && e.detail.length > 60;
  return h('li', {class: color ? 's-' + color : '', key}, h('time', {datetime: e.time, title: fullTime(e.time)}, clockSeconds(e.time)), h('span', {class: 'node'}, icon(shape)), h('span', {class: 'key'}, visible(e.kind)),
    h('div', {class: 'i2'}, visible(e.text), e.detail && !quoted ? h('span', {class: 'i3'}, ' · ' + visible(e.detail)) : null, quoted ? h('q', {}, visible(e.detail)) : null));
}
function policy(app, v) {
  if (stoppedOnPurpose(v)) return null;
  const answer = app.store.answer(`api/explain/${encodeURIComponent(v.key)}`, {seconds: 600});
  if (!answer?.data?.lines?.length) return null;
  return h('section', {class: 'sec', key: 'policy'}, h('div', {class: 'sec-h'}, h('h2', {class: 'grow'}, 'What keepwell would do'), h('span', {class: 'sm i3'}, `policy ${visible(answer.data.policy).replace(/ \(.*$/, '')}`)),
    h('dl', {class: 'card policy'}, answer.data.lines.map((l, i) => h('div', {key: i}, h('dt', {}, visible(l.topic)), h('dd', {}, visible(l.text))))));
}

// -- log

function lastLines(app, v) {
  if (v.kind === 'external') return null;
  const open = app.canLogs ? link('Open logs', logsHref(v.key), 'btn ghost') : null;
  if (!app.canLogs) return section('Last lines', null, note('Reading logs needs a token with the scope logs.'));
  const answer = app.store.answer(`api/logs?type=${encodeURIComponent(v.key)}&lines=12`, {stamp: v.state + v.health.status, seconds: 5});
  if (!answer) return section('Last lines', open, skeleton(3));
  if (!answer.data) return section('Last lines', open, note(failure('Cannot read the log', answer.error)));
  const lines = linesOf(answer.data).slice(-12);
  return h('section', {class: 'sec', key: 'lines'}, h('div', {class: 'sec-h'}, h('h2', {class: 'grow'}, 'Last lines'), open),
    h('div', {class: 'card'}, lines.length ? h('ol', {class: 'log tail', tabindex: 0, 'aria-label': 'Last log lines'}, lines.map((l, i) => logLine(l, {key: i}))) : h('p', {class: 'need'}, 'It has not written a line yet.')));
}
