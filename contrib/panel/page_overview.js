// The overview: headline, tally as filters, problems first, host strip, groups of service rows. Filters and folds are in
// the URL. A row is described again only when its stamp changed.
import {h, memo} from './dom.js';
import {bar, spark} from './charts.js';
import {icon} from './icons.js';
import {ago, button, count, empty, field, link, logsHref, menu, nameOf, state, timer, unitHref} from './parts.js';
import {bytes, clock, duration, headline, isProblem, look, ms, needsYou, next, onlyWatched, padded, percent, plural, rank, rate, reason, shortDuration, spoken, time, title, visible} from './words.js';

const TALLY = [['ok', 'ok', 'ok', 'healthy'], ['degraded', 'warn', 'warn', 'degraded'], ['down', 'down', 'down', 'down'], ['waiting', 'hold', 'hold', 'waiting'],
  ['unknown', 'mute', 'mute', 'unknown'], ['paused', 'pause', 'pause', 'paused'], ['off', 'mute', 'stop', 'stopped']];
const OF_RANK = {0: 'down', 2: 'degraded', 3: 'paused', 8: 'off', 9: 'ok'};
const kindOf = (v) => (rank(v) === 1 ? (v.state === 'waiting' ? 'waiting' : 'unknown') : OF_RANK[rank(v)]);

const EXAMPLE = `# /etc/keepwell/conf.d/web.toml
[unit.web]
command    = ["/usr/bin/python3", "-m", "http.server", "8000"]
check.http = { url = "http://127.0.0.1:8000/" }

# then: keepwell reload`;

export function overview(app) {
  const {store} = app;
  if (!store.list.length) return [empty('inbox', 'No services yet', 'keepwell runs and has nothing to look after. Add a unit and reload:', {pre: EXAMPLE})];
  return [lead(app), problems(app), hostStrip(store.doc), services(app)];
}

function lead(app) {
  const {doc} = app.store, head = headline(doc), chosen = app.store.param('state');
  const counts = {ok: head.ok, degraded: head.degraded, down: head.down, waiting: head.waiting, unknown: head.unknown, paused: head.paused, off: head.off};
  return h('div', {class: 'lead', key: 'lead'}, h('div', {class: 'grow'}, h('h1', {}, (app.stale ? 'Last known: ' : '') + lower(head.title, app.stale)), h('p', {}, sentence(app, head))),
    h('div', {class: 'tally', role: 'group', 'aria-label': 'Filter by state'}, TALLY.filter(([id]) => counts[id] || chosen === id).map(([id, color, shape, word]) => h('button', {type: 'button', key: id,
      class: 's-' + color, 'aria-pressed': String(chosen === id), onclick: () => app.store.setParam('state', chosen === id ? '' : id)}, icon(shape, 'st'), h('b', {}, counts[id]), word))));
}
const lower = (text, yes) => (yes ? text.charAt(0).toLowerCase() + text.slice(1) : text);
function sentence(app, head) {
  if (app.stale) return 'Nothing here is current.';
  if (head.needs) return `${plural(head.needs, 'service')} ${head.needs === 1 ? 'needs' : 'need'} you: keepwell has given up on ${head.needs === 1 ? 'it' : 'them'}.`;
  if (head.at) return ['keepwell is on it: next try in ', count(head.at, 'plain'), head.waiting ? `. ${plural(head.waiting, 'service')} waiting for one of them.` : '.'];
  if (head.bad) return head.down + head.degraded ? 'keepwell is watching.' : 'The first checks are on their way.';
  return 'Nothing needs you.';
}

// -- problems

function problems(app) {
  const {doc, list} = app.store;
  const order = app.order('problems', list.filter(isProblem).sort((a, b) => rank(a) - rank(b) || needsYou(b) - needsYou(a) || time(b.health_since ?? b.state_since) - time(a.health_since ?? a.state_since)).map((v) => v.key));
  const bad = order.map((key) => app.store.unit(key)).filter((v) => v && isProblem(v));
  const shown = bad.slice(0, app.store.param('all') ? bad.length : 50);
  return h('section', {class: 'sec', 'aria-label': 'Problems', key: 'problems'}, bad.length
    ? h('ul', {class: 'card dim probs', ...app.holding('problems')}, shown.map((v) => problem(app, v)),
      bad.length > shown.length ? h('li', {class: 'prob-more', key: '\u0000more'}, button(`Show ${bad.length - shown.length} more`, {cls: 'ghost', onclick: () => app.store.setParam('all', '1')})) : null)
    : h('div', {class: 'card calm s-ok'}, icon('ok', 'st'), h('span', {}, 'No problems.', lastIncident(doc, app))));
}
function lastIncident(doc, app) {
  const i = doc.last_incident;
  if (!i?.until) return '';
  const name = nameOf(doc, i.service), took = (time(i.until) - time(i.from)) / 1000;
  return [` Last one: ${visible(name)}, ${visible(i.reason)}, for ${duration(took)} until ${clock(i.until, app.now)}.`];
}
function problem(app, v) {
  const {doc} = app.store, [color, shape, word, life] = look(v), n = next(v, doc), stamp = [app.store.stamps.get(v.key), app.actionStamp(v.key), reason(v, doc, app.now), n.at, n.text].join('|');
  return memo(v.key, stamp, () => h('li', {class: 'prob s-' + color, key: v.key, 'data-key': v.key}, icon(shape, 'st'),
    h('div', {class: 'prob-t'}, h('a', {href: unitHref(v.key)}, title(v)), h('p', {class: 'sm'}, h('span', {class: 'state'}, word), life ? h('span', {class: 'i2'}, ' · ' + life) : null, v.critical ? h('span', {class: 'i3'}, ' · critical') : null)),
    h('div', {class: 'prob-w'}, h('p', {class: 'why'}, reason(v, doc, app.now)), n.text ? h('p', {class: 'next'}, n.text) : null),
    timer(v, doc), h('div', {class: 'acts'}, problemActions(app, v))), {tag: 'li', attrs: {class: 'prob'}});
}
function problemActions(app, v) {
  const control = app.canControl, logs = app.canLogs && v.kind !== 'external' ? link('Logs', logsHref(v.key), 'btn ghost') : null;
  if (v.blocked_by && rank(v) < 2 && !v.paused) return [link('Open ' + nameOf(app.store.doc, v.blocked_by), unitHref(v.blocked_by)), logs];
  if (!control) return [logs];
  if (v.paused) return [act(app, v, 'resume', 'Resume'), logs];
  return [mainAction(app, v), logs, pauseMenu(app, v)];
}
export function act(app, v, verb, text, attrs = {}) {
  return button(app.actions.isBusy(v.key, verb) ? `${text}…` : text, {busy: app.actions.isBusy(v.key, verb), onclick: () => app.actions.run(verb, v.key), ...attrs});
}
/** Start and restart can do nothing for it now. What was stopped by hand is looked for again from its start on. */
export const justLookedAt = (v) => v.kind === 'external' || (onlyWatched(v) && v.desired_state !== 'stopped');
/** The one button that helps, by state; null where none does. */
export function mainAction(app, v, cls = '') {
  if (justLookedAt(v)) return v.checks.length ? act(app, v, 'check', 'Check now', {cls}) : null;
  if (v.state === 'failed') return act(app, v, 'start', 'Start', {cls});
  if (v.state === 'backoff' || v.state === 'cooldown') return act(app, v, 'start', 'Try now', {cls, onclick: () => app.actions.run('restart', v.key)});
  if (v.desired_state === 'stopped') return act(app, v, 'start', 'Start', {cls});
  return button(app.actions.isBusy(v.key, 'restart') ? 'Restarting…' : 'Restart', {cls, busy: app.actions.isBusy(v.key, 'restart'),
    onclick: () => (rank(v) === 0 ? app.actions.run('restart', v.key) : app.actions.confirmed('restart', v.key, 'It runs now and will be stopped and started again.'))});
}
export const pauseMenu = (app, v) => menu(['Pause', icon('caret')], [['for 30 min', '30m'], ['for 2 h', '2h'], ['until I resume', '']].map(([text, span]) => [text,
  () => app.actions.run('pause', v.key, span ? {for: span} : {})]), {key: 'pause'});

// -- host

export function hostStrip(doc) {
  const m = doc.system_metrics;
  if (!m?.cpu) return null;
  const past = m.history || {}, num = (v) => (v == null ? '–' : v.toFixed(0) + ' %');
  const [rx, rxUnit] = rate(m.network?.rx_bytes_per_s), [tx, txUnit] = rate(m.network?.tx_bytes_per_s);
  const tile = (name, status, big, small, sub, graph) => h('div', {class: 'tile s-' + (status === 'warning' ? 'warn' : status === 'critical' ? 'down' : 'mute'), key: name},
    h('dt', {}, name, status === 'warning' || status === 'critical' ? h('span', {class: 'state xs'}, status === 'warning' ? 'high' : 'very high') : null),
    h('dd', {class: 'big'}, big, small ? h('small', {}, small) : null), h('dd', {class: 'plot'}, graph), h('dd', {class: 'sub cut'}, sub));
  const line = (values, extra) => ((values || []).some((v) => v != null) ? spark(padded(values), extra && extra.second ? {...extra, second: padded(extra.second)} : extra) : null);
  return h('dl', {class: 'card host dim', 'aria-label': 'Host', key: 'host'},
    tile('CPU', m.cpu.status, num(m.cpu.percent), '', `load ${(m.cpu.load_average || []).map((x) => x.toFixed(1)).join('  ') || '–'}, ${plural(m.cpu.count ?? 0, 'core')}`, line(past.cpu_percent, {max: 100})),
    tile('Memory', m.memory.status, num(m.memory.percent), '', `${bytes(m.memory.available)} of ${bytes(m.memory.total)} free`, line(past.memory_percent, {max: 100})),
    tile(`Disk ${visible(m.disk.path || '')}`, m.disk.status, num(m.disk.percent), '', `${bytes(m.disk.free)} free`, line(past.disk_percent, {max: 100})),
    tile('Network', null, rx, ` ${rxUnit} in`, `${tx} ${txUnit} out (dashed)`, line(past.network_rx_bytes_per_s, {second: past.network_tx_bytes_per_s})));
}

// -- services

const COLUMNS = [['State', ''], ['Service', ''], ['Last 30 min', ''], ['Latency', ''], ['24 h', 'num c-rat'], ['Up for', 'num c-up'], ['Restarts', 'num c-rst'], ['CPU', 'num c-cpu'], ['Memory', 'num c-mem'], ['', 'go']];
const spanWord = (doc) => {
  const v = Object.values(doc.services).find((u) => u.history?.step_s);
  return v ? spoken(60 * v.history.step_s) : '30 min';
};

function services(app) {
  const {store} = app, find = store.param('q').toLowerCase(), wanted = store.param('state');
  const match = (v) => (!wanted || kindOf(v) === wanted) && (!find || `${v.name} ${v.key} ${v.kind} ${v.group} ${(v.tags || []).join(' ')}`.toLowerCase().includes(find));
  const groups = new Map();
  for (const v of store.list) {
    const name = v.group || '';
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(v);
  }
  const span = spanWord(store.doc), shown = [...groups].map(([name, all]) => [name, all, all.filter(match)]).filter(([, , units]) => units.length);
  return h('section', {class: 'sec', 'aria-label': 'All services', key: 'services'},
    h('div', {class: 'sec-h'}, h('h2', {class: 'grow'}, 'Services'), field({class: 'field q', type: 'search', placeholder: 'Filter services', 'aria-label': 'Filter services', value: store.param('q'),
      oninput: (event) => store.setParam('q', event.currentTarget.value)})),
    shown.length ? h('div', {class: 'card rows dim'}, h('div', {class: 'head', 'aria-hidden': 'true'}, COLUMNS.map(([text, cls]) => h('div', {class: cls}, text === 'Last 30 min' ? 'Last ' + span : text))),
      shown.map(([name, all, units]) => group(app, name, all, units, groups.size === 1)))
      : h('p', {class: 'card need'}, 'No service matches. ', button('Clear filters', {onclick: () => { store.setParam('q', ''); store.setParam('state', ''); }})));
}
function group(app, name, all, units) {
  const good = all.filter((v) => rank(v) === 9).length, meant = all.filter((v) => rank(v) !== 8).length, folded = app.store.listParam('fold').includes(name || '-');
  const words = meant === 0 ? 'none is meant to run' : good === meant ? (meant === 1 ? 'healthy' : `all ${good} healthy`) : `${good} of ${meant} healthy`;
  return h('details', {class: 'grp', key: 'group ' + name, open: !folded, ontoggle: (event) => {
    const now = !event.currentTarget.open;
    if (now !== app.store.listParam('fold').includes(name || '-')) app.store.toggleInParam('fold', name || '-', now);
  }},
  h('summary', {}, icon('chev', 'chev'), visible(name || 'services'), h('span', {class: 'i3 sm'}, words), folded ? h('span', {class: 'dots', 'aria-hidden': 'true'}, all.slice(0, 40).map((v) => icon(look(v)[1], 'st s-' + look(v)[0]))) : null),
  folded ? null : h('div', {role: 'table', 'aria-label': visible(name || 'services')}, h('div', {class: 'sr', role: 'row'}, COLUMNS.map(([text]) => h('div', {role: 'columnheader'}, text || 'Check now'))),
    units.map((v) => row(app, v))));
}
function row(app, v) {
  return memo(v.key, app.store.stamps.get(v.key) + app.actionStamp(v.key), () => {
    const life = look(v)[3], slow = v.health.status === 'degraded', r24 = v.uptime_ratio?.['24h'], past = v.history;
    const cell = (cls, ...children) => h('div', {class: cls, role: 'cell'}, children);
    return h('div', {class: 'row', role: 'row', key: v.key, 'data-key': v.key},
      cell('state-c', h('div', {class: 'two'}, state(v), life ? h('small', {}, life) : null)),
      cell('name two cut', h('a', {href: unitHref(v.key)}, title(v)), h('small', {class: 'cut'}, [v.kind, v.pid ? `pid ${v.pid}` : ''].filter(Boolean).join(' · '), v.last_checked ? [' · checked ', ago(v.last_checked), ' ago'] : null)),
      cell('beat-c', past ? bar(past.states, {at: stepTime(app.store.doc, past)}) : h('span', {class: 'i3 xs'}, 'no history here')),
      cell('lat-c', latency(v, slow)),
      cell('num c-rat s-down' + (r24 != null && r24 < 0.995 ? ' hot' : ''), percent(r24)), cell('num c-up', v.started_at ? h('span', {'data-up': v.started_at}, shortDuration(v.uptime_s)) : '–'),
      cell('num c-rst s-warn' + (v.restarts.total > 3 ? ' hot' : ''), v.restarts.total ?? '–'), cell('num c-cpu', v.cpu_percent == null ? '–' : v.cpu_percent.toFixed(1) + ' %'), cell('num c-mem', bytes(v.memory_bytes)),
      cell('go', app.canControl && v.checks.length ? h('button', {type: 'button', class: 'again', 'aria-label': `Check ${title(v)} now`, title: 'Check now', 'aria-busy': app.actions.isBusy(v.key, 'check') ? 'true' : null,
        onclick: () => app.actions.run('check', v.key)}, icon('retry')) : icon('chev')));
  }, {lazy: true});
}
export const stepTime = (doc, past) => (i) => time(doc.generated_at) - (59 - i) * past.step_s * 1e3;
function latency(v, slow) {
  const values = padded(v.history?.latency_ms || []);
  if (values.some((x) => x != null)) return h('div', {class: 'latc s-' + (slow ? 'warn' : 'mute')}, spark(values), h('span', {class: 'v'}, ms(v.health.responseTime)));
  const timed = v.checks.some((c) => ['http', 'tcp', 'grpc', 'dns'].includes(c.type));
  return h('span', {class: 'i3 xs'}, v.checks.some((c) => c.type === 'heartbeat') ? 'heartbeat' : v.state === 'waiting' || timed ? 'not checked' : 'no latency check');
}
