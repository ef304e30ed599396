// The words and numbers of the panel, without a browser.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {announcement, bytes, clock, compact, cpu, duration, failure, headline, lastExit, look, ms, next, padded, percent, rank, rate, reason, shortDuration, spoken, visible} from '../../contrib/panel/words.js';

export function unit(changes = {}) {
  return {key: 'web', name: 'Web', group: 'web', kind: 'child', state: 'running', desired_state: 'running', paused: false, checks: [], requires: [], blocked_by: null, reason: '',
    state_since: '2026-01-05T11:45:00Z', health_since: '2026-01-05T11:45:00Z', uptime_ratio: {}, ...changes, health: {status: 'healthy', responseTime: null, ...changes.health},
    restarts: {total: 0, budget: 10, attempts_left: 10, cooldown_s: 300, backoff_s: 0, next_attempt_at: null, cooldown_until: null, ...changes.restarts}};
}
const doc = (...units) => ({reasons: [], services: Object.fromEntries(units.map((u) => [u.key, u]))});
const NOW = Date.parse('2026-01-05T12:00:00Z');

test('durations have two units at most', () => {
  assert.deepEqual([0, 5, 59.6, 60, 216, 1260, 3600, 5400, 108000, 86400 * 20].map(duration), ['0 s', '5 s', '1 m', '1 m', '3 m 36 s', '21 m', '1 h', '1 h 30 m', '1 d 6 h', '20 d']);
  assert.equal(duration(-5), '0 s');
  assert.equal(shortDuration(5400), '1 h');
  assert.equal(spoken(1800), '30 min');
});
test('percent is never rounded up to 100', () => {
  assert.equal(percent(0.99999), '99.99 %');
  assert.equal(percent(1), '100 %');
  assert.equal(percent(null), '–');
});
test('what is not known is a dash, never a zero', () => {
  assert.equal(ms(null), '–');
  assert.equal(bytes(null), '–');
  assert.deepEqual(rate(null), ['–', '']);
  assert.equal(ms(0.4), '0.4 ms');
  assert.equal(ms(45), '45 ms');
  assert.equal(ms(1800), '1.8 s');
  assert.equal(bytes(104857600), '100 MB');
});
test('verdict and lifecycle are two words', () => {
  assert.deepEqual(look(unit()), ['ok', 'ok', 'Healthy', '']);
  assert.deepEqual(look(unit({state: 'backoff', health: {status: 'down'}})), ['down', 'down', 'Down', 'backoff']);
  assert.deepEqual(look(unit({paused: true, health: {status: 'down'}})), ['pause', 'pause', 'Paused', 'down']);
  assert.deepEqual(look(unit({state: 'stopped', desired_state: 'stopped', health: {status: 'unknown'}})).slice(2), ['Stopped', 'on purpose']);
  assert.deepEqual(look(unit({state: 'waiting', health: {status: 'unknown'}})).slice(2), ['Waiting', 'unknown']);
  assert.deepEqual(look(unit({health: {status: 'something new'}})).slice(0, 3), ['mute', 'mute', 'Unknown']);
});
test('down comes before waiting, degraded and paused; stopped on purpose is no problem', () => {
  const ranks = [unit({health: {status: 'down'}}), unit({state: 'waiting', health: {status: 'unknown'}}), unit({health: {status: 'degraded'}}), unit({paused: true}), unit({state: 'stopped', desired_state: 'stopped'}), unit()].map(rank);
  assert.deepEqual(ranks, [0, 1, 2, 3, 8, 9]);
});
test('a reason is fact, counter, since', () => {
  const v = unit({reason: 'http 503', health: {status: 'down'}, checks: [{id: 'http', status: 'fail', effect: 'down', consecutive_failures: 5, failures: 3, output: ''}]});
  assert.match(reason(v, doc(v), NOW), /^http 503 \(3\/3\), since /);
  const backoff = unit({state: 'backoff', reason: 'exit 3; next try in 29s (7 of 10)', health: {status: 'down'}});
  assert.match(reason(backoff, doc(backoff), NOW), /^exit 3, since /);
});
test('a blocked unit names what holds it', () => {
  const search = unit({key: 'search', name: 'Search', state: 'cooldown', health: {status: 'down'}, restarts: {next_attempt_at: '2026-01-05T12:03:36Z'}}), v = unit({state: 'waiting', blocked_by: 'search', health: {status: 'unknown'}});
  assert.match(reason(v, doc(v, search), NOW), /^needs Search, down since /);
  const n = next(v, doc(v, search));
  assert.equal(n.text, 'Starts by itself when Search is healthy.');
  assert.equal(n.at, Date.parse('2026-01-05T12:03:36Z'));
});
test('the next step is which try of how many and when', () => {
  const v = unit({state: 'backoff', health: {status: 'down'}, restarts: {attempts_left: 6, backoff_s: 8, next_attempt_at: '2026-01-05T12:00:08Z'}}), n = next(v, doc(v));
  // Four are used, and the one that is waited for is the fourth: `keepwell status` says 4 of 10 as well.
  assert.equal(n.text, 'Restart 4 of 10, then cooldown of 5 min.');
  assert.equal(n.at - n.from, 8000);
  const nth = (left) => next(unit({state: 'backoff', restarts: {attempts_left: left}}), doc()).text;
  assert.match(nth(0), /^Restart 10 of 10/);
  assert.match(nth(10), /^Restart 1 of 10/); // a start that the budget does not pay for
  assert.match(next(unit({state: 'failed', health: {status: 'down'}}), doc()).text, /not started again by itself/);
  assert.match(next(unit({kind: 'external', health: {status: 'down'}}), doc()).text, /Only watched/);
});
test('of what is only watched nothing is promised and nothing is asked', () => {
  const v = unit({kind: 'match', heal: false, state: 'failed', health: {status: 'down'}});
  assert.equal(next(v, doc(v)).text, 'Only watched: it is up again when its process is there.');
  assert.equal(headline(doc(v)).needs, 0);
  assert.equal(headline(doc(unit({state: 'failed', health: {status: 'down'}}))).needs, 1);
  const few = {id: 'min', status: 'fail', effect: 'down', heals: true, consecutive_failures: 2, failures: 2, output: ''};
  assert.doesNotMatch(next(unit({kind: 'match', heal: false, health: {status: 'down'}, checks: [few]}), doc()).text, /restart/i);
});
test('what could not be done is said once', () => {
  assert.equal(failure('Cannot restart Web', 'it is being done already'), 'Cannot restart Web: it is being done already');
  assert.equal(failure('Cannot read the history', 'cannot read the history: it is switched off'), 'Cannot read the history: it is switched off');
});
test('an axis of processor time has the digits that it needs', () => {
  assert.deepEqual([0, 0.075, 1.25, 2.5, 37.5, 150].map(cpu), ['0 %', '0.075 %', '1.25 %', '2.5 %', '37.5 %', '150 %']);
});
test('the headline counts and never scores', () => {
  const v = unit({key: 'a', health: {status: 'down'}, state: 'backoff', restarts: {next_attempt_at: '2026-01-05T12:00:08Z'}}), w = unit({key: 'b', health: {status: 'degraded'}});
  assert.equal(headline(doc(v, w, unit())).title, '1 service down, 1 degraded');
  assert.equal(headline(doc(v, w, unit())).at, '2026-01-05T12:00:08Z');
  assert.equal(headline(doc(unit(), unit({key: 'x'}))).title, 'All 2 services are healthy');
  assert.equal(headline(doc(unit({paused: true}), unit({key: 'x'}))).title, '1 service healthy, 1 paused');
  assert.equal(headline(doc(unit({state: 'stopped', desired_state: 'stopped'}))).title, 'Nothing is meant to run');
});
test('a change of verdict is announced with its reason, a first sight is not', () => {
  const ok = unit(), down = unit({reason: 'no process', health: {status: 'down'}});
  assert.equal(announcement(ok, down, doc(down)), 'Web is down: no process');
  assert.equal(announcement(down, ok, doc(ok)), 'Web is healthy again');
  assert.equal(announcement(null, down, doc(down)), '');
  assert.equal(announcement(ok, unit(), doc(ok)), '');
});
test('control characters are shown, directions are not obeyed', () => {
  assert.equal(visible('a\u0000b\u001b[31mc\u007f\u202ed'), 'a\u2400b\u241b[31mc\u2421\ufffdd');
  assert.equal(visible('<script>alert(1)</script>'), '<script>alert(1)</script>');
  assert.equal(visible(null), '');
});
test('how it ended', () => {
  assert.equal(lastExit({code: 3}), 'code 3');
  assert.equal(lastExit({signal: 9, oom: true}), 'out of memory');
  assert.equal(lastExit({code: null, signal: null, at: null}), 'none');
  assert.equal(lastExit({code: null, signal: null, at: '2026-01-05T12:00:00Z'}), 'how is not known');
});
test('a clock of another day says the day', () => {
  const noon = new Date(2026, 0, 5, 12).getTime();
  assert.equal(clock(new Date(2026, 0, 5, 9, 5).getTime(), noon), '09:05');
  assert.equal(clock(new Date(2026, 0, 4, 9, 5).getTime(), noon), '4 Jan 09:05');
  assert.equal(clock('nonsense', noon), '–');
});
test('what belongs together in an incident is one line', () => {
  const lines = [['start', 'generation 2'], ['start', 'pid 7'], ['exit', '7 exit 3'], ['gone', 'the whole tree is gone'], ['backoff', '1s']].map(([kind, text]) => ({kind, text}));
  assert.deepEqual(compact(lines).map((l) => l.text), ['generation 2, pid 7', '7 exit 3, the whole tree is gone', '1s']);
  assert.deepEqual(padded([1, 2], 4), [null, null, 1, 2]);
});
