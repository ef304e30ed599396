// Routes, charts, history and log lines as pure functions, without a browser.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import fs from 'node:fs';
import path from 'node:path';
import {nice, paths} from '../../contrib/panel/charts.js';
import {barLetters, dayLetters, letterOf, ratioOf, ratios, series} from '../../contrib/panel/history_data.js';
import {marker, newest} from '../../contrib/panel/log_view.js';
import {linesOf} from '../../contrib/panel/page_logs.js';
import {Source} from '../../contrib/panel/source.js';
import {Past, parseRoute, routeHash, stampOf} from '../../contrib/panel/store.js';
import {barLabel} from '../../contrib/panel/words.js';
import {PANEL, TOP, until} from './fleet.js';

test('a route survives its way through the URL', () => {
  const hash = routeHash('s', 'a/b ü&?', {range: '7d', q: 'x=1&y', empty: ''}), route = parseRoute(hash);
  assert.deepEqual([route.page, route.arg, route.params.get('range'), route.params.get('q'), route.params.has('empty')], ['s', 'a/b ü&?', '7d', 'x=1&y', false]);
  assert.equal(routeHash('overview'), '#/');
  assert.equal(parseRoute('').page, 'overview');
  assert.equal(parseRoute('#/s/%E0%A4%A').arg, '%E0%A4%A');
});
test('gaps stay gaps, lines begin at zero', () => {
  const [line, area] = paths([1, null, 3, 3], 90, 30, 3);
  assert.equal(line, 'M0.0 20.0h.1M60.0 0.0L90.0 0.0');
  assert.equal((area.match(/Z/g) || []).length, 2);
  assert.deepEqual([0, 0.4, 7, 45, 1800].map(nice), [1, 0.4, 7.5, 50, 2000]);
});
const point = (time, changes) => ({time, ok_s: 0, degraded_s: 0, down_s: 0, unknown_s: 0, paused_s: 0, latency_ms: null, ...changes});
test('a bar shows the worst of its span', () => {
  assert.deepEqual([{ok_s: 86399, down_s: 1}, {ok_s: 5, degraded_s: 1}, {ok_s: 3}, {paused_s: 9}, {unknown_s: 4}, {}].map((x) => letterOf(point('', x))), ['D', 'G', 'U', 'P', 'X', 'n']);
  const now = new Date(2026, 0, 10, 15).getTime(), at = (daysBack) => new Date(2026, 0, 10 - daysBack, 1).toISOString();
  const days = dayLetters({step_s: 3600, points: [point(at(0), {ok_s: 3600}), point(at(1), {down_s: 5}), point(at(1), {ok_s: 3600}), point(at(200), {down_s: 5})]}, now);
  assert.equal(days.text.length, 90);
  assert.equal(days.text.slice(-3), 'nDU');
  assert.equal(new Date(days.at(89)).getDate(), 10);
  assert.equal(barLetters({from: at(1), to: at(0), points: Array.from({length: 288}, (_, i) => point(at(1), i === 100 ? {down_s: 1} : {ok_s: 300}))}).text.replace(/U/g, ''), 'D');
});
test('what was not measured is null, a failed step is a miss', () => {
  const data = {from: '2026-01-05T12:00:00Z', to: '2026-01-05T12:03:00Z', points: [point('', {latency_ms: {min: 1, avg: 2, max: 3}}), point('', {down_s: 60}), point('', {})]};
  assert.deepEqual([series(data, 'latency_ms').values, series(data, 'latency_ms').misses], [[2, null, null], [1]]);
  assert.equal(ratioOf([point('', {})]), null);
  assert.equal(ratioOf([point('', {ok_s: 98, degraded_s: 1, down_s: 1})]), 0.99);
  assert.equal(ratios({uptime_ratio: {'24h': 0.5}}, null)[0][1], 0.5);
});
test('a bar has words', () => {
  assert.equal(barLabel('UUDn', 'last 30 minutes'), 'last 30 minutes: 2 up, 1 down, 1 no data');
});
test('a search marks text, a broken expression marks nothing', () => {
  assert.deepEqual(marker('WORLD', false)('hello world'), [6, 11]);
  assert.deepEqual(marker('o\\s', true)('hello world'), [4, 6]);
  assert.equal(marker('(', true), null);
  assert.equal(marker('', false), null);
});
test('lines of several units are in the order of their times', () => {
  const lines = linesOf({logs: {a: [{timestamp: '2026-01-05T12:00:02Z', message: 'second'}], b: [{timestamp: '2026-01-05T12:00:01Z', message: 'first'}]}});
  assert.deepEqual(lines.map((l) => `${l.daemon} ${l.message}`), ['b first', 'a second']);
  assert.deepEqual(linesOf({data: {logs: [{message: 'a'}, {message: 'b'}]}}).map((l) => l.message), ['a', 'b']);
  assert.deepEqual(linesOf({}), []);
});
test('older lines fill the room that is left, and none is none', () => {
  assert.deepEqual([0, 1, 2, 9, -3].map((room) => newest(['a', 'b', 'c'], room).join('')), ['', 'c', 'bc', 'abc', '']);
});
test('what a page may do is what the server says now: after a refusal, and at the beginning of a stream', async () => {
  let session = {name: 'ana', scopes: ['read', 'control'], login: true}, stream = null;
  const json = (data, status = 200) => new Response(JSON.stringify(data), {status, headers: {'Content-Type': 'application/json'}});
  const saw = [];
  globalThis.document = {hidden: false, addEventListener() {}};
  globalThis.EventSource = class extends EventTarget { constructor() { super(); stream = this; } close() {} };
  globalThis.fetch = async (path) => (path === 'api/session' ? json(session) : path === 'api/status' ? json({services: {}, generated_at: '2026-01-05T12:00:00Z'}) : json({error: 'cannot allow that: no token', code: 'unauthorized'}, 401));
  const source = new Source((what) => saw.push(what));
  try {
    await source.refresh();
    assert.deepEqual([source.mode, source.can('control')], ['live', true]);
    session = {name: '', scopes: ['read'], login: true};
    const answer = await source.post('api/services/web/restart');
    assert.deepEqual([answer.code, source.can('control'), source.can('read'), source.session.name], ['unauthorized', false, true, '']);
    assert.ok(saw.includes('session'));
    session = {name: 'bea', scopes: ['read', 'logs'], login: true};
    stream.dispatchEvent(new MessageEvent('hello', {data: '{}'}));
    await until(() => source.can('logs'), 'the session');
  } finally {
    globalThis.document.hidden = true; // nothing is read any more
  }
});
test('the example for nginx serves what keepwell writes, from a folder that it may enter', () => {
  const conf = fs.readFileSync(path.join(TOP, 'contrib/nginx/static.conf'), 'utf8'), service = fs.readFileSync(path.join(TOP, 'contrib/systemd/keepwell.service'), 'utf8');
  const folder = /status\|history[^}]*root (\S+);/s.exec(conf)[1];
  assert.equal(folder, '/run/' + /^RuntimeDirectory=(\S+)$/m.exec(service)[1]);
  assert.match(service, /^RuntimeDirectoryMode=0755$/m);
});
test('a stamp changes with what a row shows', () => {
  const unit = {restarts: {}, health: {status: 'healthy'}, checks: [], state: 'running'};
  assert.notEqual(stampOf(unit), stampOf({...unit, state: 'backoff'}));
  assert.equal(stampOf(unit), stampOf({...unit, sequence: 5}));
});
test('nothing in the panel turns text into markup or style', () => {
  for (const name of fs.readdirSync(PANEL).filter((n) => /\.(js|html)$/.test(n))) {
    const text = fs.readFileSync(path.join(PANEL, name), 'utf8');
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\sstyle=|\.cssText/, name);
    if (name.endsWith('.html')) assert.doesNotMatch(text, /<script(?![^>]*src=)[^>]*>|<style|\son\w+=/, name);
  }
});
test('index.html preloads every module that main.js needs, and no other', () => {
  const text = fs.readFileSync(path.join(PANEL, 'index.html'), 'utf8'), wanted = fs.readdirSync(PANEL).filter((n) => n.endsWith('.js') && !['main.js', 'widget.js'].includes(n)).sort();
  assert.deepEqual([...text.matchAll(/modulepreload" href="([^"]+)"/g)].map((m) => m[1]).sort(), wanted);
});
test('histories that the document leaves out are those that the page saw', () => {
  const past = new Past(), unit = (status) => ({health: {status, responseTime: 5}, history: null}), at = 1.8e12;
  const doc = (status) => ({services: {web: unit(status)}});
  let now = doc('healthy');
  past.add(now, at);
  assert.equal(now.services.web.history.states, 'U');
  past.add(now = doc('down'), at + 1000);
  past.add(now = doc('healthy'), at + 2000);
  assert.equal(now.services.web.history.states, 'D', 'the worst of a step');
  assert.equal(past.add(now = doc('healthy'), at + 90e3), true);
  assert.equal(now.services.web.history.states, 'DnnU', 'what nobody saw is a gap');
  const whole = {services: {web: {health: {status: 'down'}, history: {states: 'UU', step_s: 30, latency_ms: []}}}};
  past.add(whole, at + 120e3);
  assert.equal(whole.services.web.history.states, 'UU');
});
