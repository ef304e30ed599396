// Every word and number of the panel, as pure functions of the status document: no page, no clock of their own.
// Durations have two units at most, times are local, percentages are never rounded up to 100.

export const time = (x) => (typeof x === 'number' ? x : Date.parse(x));
const two = (n) => String(n).padStart(2, '0');

export function duration(seconds) {
  const all = Math.max(0, Math.round(seconds || 0));
  const d = Math.floor(all / 86400), h = Math.floor(all / 3600) % 24, m = Math.floor(all / 60) % 60, x = all % 60;
  if (d) return d > 9 || !h ? `${d} d` : `${d} d ${h} h`;
  if (h) return m ? `${h} h ${m} m` : `${h} h`;
  if (m) return m < 10 && x ? `${m} m ${x} s` : `${m} m`;
  return `${x} s`;
}
/** In a sentence: `30 min`, not `30 m`. */
export const spoken = (seconds) => duration(seconds).replace(/ m$/, ' min');
/** One unit: for a column of a table. */
export const shortDuration = (seconds) => duration(seconds).replace(/ \d+ [smh]$/, '');

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
export const day = (x) => { const d = new Date(time(x)); return `${d.getDate()} ${MONTHS[d.getMonth()]}`; };
/** HH:MM, with the day in front when it is another day than `now`. */
export function clock(x, now = Date.now()) {
  const d = new Date(time(x));
  if (Number.isNaN(d.getTime())) return '–';
  const text = `${two(d.getHours())}:${two(d.getMinutes())}`;
  return new Date(now).toDateString() === d.toDateString() ? text : `${day(d.getTime())} ${text}`;
}
export function clockSeconds(x) {
  const d = new Date(time(x));
  return Number.isNaN(d.getTime()) ? '–' : `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}
export const millis = (x) => String(new Date(time(x)).getMilliseconds()).padStart(3, '0');
/** For a tooltip: the whole local date and time. */
export const fullTime = (x) => (x == null ? '' : `${day(x)} ${new Date(time(x)).getFullYear()} ${clockSeconds(x)}`);

export function ms(v) {
  if (v == null) return '–';
  return v >= 995 ? (v / 1000).toFixed(1) + ' s' : v >= 9.95 ? Math.round(v) + ' ms' : v.toFixed(1) + ' ms';
}
export function bytes(b) {
  if (b == null) return '–';
  if (b >= 2 ** 40) return (b / 2 ** 40).toFixed(1) + ' TB';
  if (b >= 2 ** 30) return (b / 2 ** 30).toFixed(1) + ' GB';
  return b >= 2 ** 20 || b === 0 ? Math.round(b / 2 ** 20) + ' MB' : Math.max(1, Math.round(b / 1024)) + ' kB';
}
/** Bytes a second as [value, unit]. */
export function rate(b) {
  if (b == null) return ['–', ''];
  if (b >= 1e6) return [(b / 1e6).toFixed(1), 'MB/s'];
  return b >= 1e3 ? [(b / 1e3).toFixed(0), 'kB/s'] : [String(Math.round(b)), 'B/s'];
}
/** Percent of a processor, for an axis that may end anywhere: three digits that count. */
export const cpu = (x) => (x == null ? '–' : `${Number(x.toPrecision(3))} %`);
/** A ratio as percent, floored: 99.999 % is never shown as 100 %. */
export const percent = (r) => (r == null ? '–' : r >= 1 ? '100 %' : (Math.floor(r * 1e4 + 1e-6) / 100).toFixed(2) + ' %');
export const plural = (n, word, many = word + 's') => `${n} ${n === 1 ? word : many}`;
/** Control characters are shown, not obeyed. */
export const visible = (text) => String(text ?? '').replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
  (c) => (c < ' ' ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : c === '\u007f' ? '\u2421' : '\ufffd'));

const VERDICTS = {healthy: ['ok', 'ok', 'Healthy'], degraded: ['warn', 'warn', 'Degraded'], down: ['down', 'down', 'Down']};
export const title = (unit) => visible(unit.name || unit.key);
/** Nobody starts it here: whether it is there is looked at, no more. */
export const onlyWatched = (v) => v.kind === 'external' || (v.kind === 'match' && v.heal === false);
/** keepwell has given up on it. */
export const needsYou = (v) => v.state === 'failed' && !onlyWatched(v);
export const stoppedOnPurpose = (v) => v.desired_state === 'stopped' && (v.state === 'stopped' || v.state === 'completed');

/** [colour, icon, word, second word]: the first word is the verdict, the second the lifecycle unless it is plain "running". */
export function look(v) {
  const verdict = v.health.status, life = v.state === 'running' || (v.kind === 'external' && v.state === 'unknown') ? '' : v.state;
  if (v.paused) return ['pause', 'pause', 'Paused', verdict];
  if (stoppedOnPurpose(v)) return ['mute', 'stop', 'Stopped', 'on purpose'];
  if (v.state === 'completed' && verdict !== 'down') return ['mute', 'ok', 'Completed', ''];
  if (verdict === 'unknown' && v.state === 'waiting') return ['hold', 'hold', 'Waiting', 'unknown'];
  return [...(VERDICTS[verdict] || ['mute', 'mute', 'Unknown']), life];
}
/** 0 down, 1 waiting or unknown, 2 degraded, 3 paused, 8 not meant to run, 9 healthy. */
export function rank(v) {
  const verdict = v.health.status;
  if (stoppedOnPurpose(v) || (v.state === 'completed' && verdict !== 'down')) return 8;
  if (verdict === 'down') return 0;
  if (v.state === 'waiting' || (verdict === 'unknown' && !v.paused)) return 1;
  if (verdict === 'degraded') return 2;
  return v.paused ? 3 : 9;
}
export const isProblem = (v) => rank(v) < 8;

export function problemSince(v, doc) {
  const reason = doc.reasons?.find((r) => r.service === v.key);
  return reason?.since ?? v.health_since ?? v.state_since;
}
const failing = (v) => v.checks.filter((c) => c.status === 'fail').sort((a, b) => Number(b.effect === 'down') - Number(a.effect === 'down'));
const counterOf = (c) => `${Math.min(c.consecutive_failures, c.failures ?? c.consecutive_failures)}/${c.failures ?? '?'}`;
/** What was seen, its counter and since when: `http 503 (3/3), since 11:58`. */
export function reason(v, doc, now) {
  const since = problemSince(v, doc), tail = since ? `, since ${clock(since, now)}` : '';
  if (v.blocked_by && rank(v) < 2) {
    const other = doc.services[v.blocked_by];
    if (!other) return `needs ${v.blocked_by}`;
    const word = look(other)[2].toLowerCase();
    return `needs ${title(other)}, ${word} since ${clock(problemSince(other, doc), now)}`;
  }
  if (v.paused && !['down', 'degraded'].includes(v.health.status)) return `${capital(v.health.status)}, actions paused${v.paused_by ? ' by ' + visible(v.paused_by).replace(/ \(pid \d+\)$/, '') : ''}`;
  // When the next try comes is the timer's to say.
  let text = visible(v.reason || doc.reasons?.find((r) => r.service === v.key)?.message || '').replace(/; next try in .*$/, '').replace(/\.$/, '');
  // That the budget is spent is said with what comes next; the reason is how it ended.
  if (/^budget spent/.test(text) && lastExit(v.last_exit) !== 'none') text = endWords(v.last_exit);
  const check = failing(v)[0];
  if (!text && check) text = `${check.id}: ${visible(check.output) || 'failed'}`;
  if (check && text && !/\(\d+\/\d+\)/.test(text)) text += ` (${counterOf(check)})`;
  if (!text) text = v.health.status === 'unknown' ? (v.checks.length ? 'not checked yet' : 'nothing is known yet') : v.state === 'running' ? look(v)[2].toLowerCase() : `the process is not there (${v.state})`;
  return text + tail;
}
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
/** What could not be done and why, once: most of what the server says begins with what it could not do. */
export const failure = (what, why) => (/^cannot\b/i.test(why) ? capital(why) : `${what}: ${why}`);

/** What happens next without anybody: {text, label, at, from, verb}; at and from are milliseconds, or absent. */
export function next(v, doc) {
  const r = v.restarts, at = r.next_attempt_at ? time(r.next_attempt_at) : undefined, cool = r.cooldown_s ? spoken(r.cooldown_s) : '';
  if (v.paused) {
    const until = v.paused_until ? time(v.paused_until) : undefined;
    return {text: `Checks go on, actions wait. ${until ? 'It acts again by itself.' : 'Resume to let it act again.'}`,
      label: 'acts again in', at: until, from: until && Math.max(until - 18e5, 0)};
  }
  if (v.state === 'cooldown') {
    return {text: `All ${r.budget ?? ''} restarts used. One try every ${cool || 'cooldown'} until healthy.`.replace('All  ', 'All '), label: 'next try',
      at: at ?? (r.cooldown_until ? time(r.cooldown_until) : undefined), from: (at ?? time(r.cooldown_until)) - (r.cooldown_s || 300) * 1e3};
  }
  if (v.state === 'backoff') {
    // The one that is waited for is paid for already.
    const nth = r.budget != null && r.attempts_left != null ? Math.max(1, r.budget - r.attempts_left) : null;
    const text = nth != null && nth <= r.budget ? `Restart ${nth} of ${r.budget}, then ${cool ? 'cooldown of ' + cool : 'it gives up'}.` : 'It is started again.';
    return {text, label: 'next try', at, from: at && at - (r.backoff_s || 1) * 1e3};
  }
  if (v.blocked_by && rank(v) < 2) {
    const other = doc.services[v.blocked_by], name = other ? title(other) : v.blocked_by, upon = other?.restarts.next_attempt_at;
    return {text: `Starts by itself when ${name} is healthy.`, label: 'held by ' + name, at: upon ? time(upon) : undefined, verb: true,
      from: upon ? time(upon) - (other.restarts.backoff_s || other.restarts.cooldown_s || 300) * 1e3 : undefined};
  }
  if (v.state === 'failed') return {text: onlyWatched(v) ? 'Only watched: it is up again when its process is there.' : 'It is not started again by itself. Find the cause, then start it.'};
  if (v.state === 'starting') return {text: 'It has just been started and is not ready yet.'};
  if (v.state === 'stopping') return {text: v.desired_state === 'running' ? 'It is being stopped to be started again.' : 'It is being stopped.'};
  return nextOfChecks(v);
}
function nextOfChecks(v) {
  const bad = v.heal !== false && v.checks.find((c) => c.status === 'fail' && c.heals && c.effect === 'down' && c.failures);
  if (v.kind === 'external') return {text: rankOnly(v) ? 'Only watched: keepwell cannot start it.' : ''};
  if (bad && bad.consecutive_failures < bad.failures) return {text: `Restarts after ${bad.failures} failed checks in a row, now ${bad.consecutive_failures}.`};
  if (bad) return {text: 'It is about to be restarted.'};
  if (v.health.status === 'degraded') {
    const slow = v.checks.some((c) => c.status === 'warn' && c.slow_ms != null);
    return {text: slow ? 'Slow only: no restart.' : 'Only degraded: no restart.'};
  }
  if (v.health.status === 'unknown') return {text: v.checks.length ? 'The next check decides.' : ''};
  if (v.health.status === 'down' && v.desired_state === 'running' && v.heal === false) return {text: 'Healing is off for it: only watched.'};
  return {text: ''};
}
const rankOnly = (v) => ['down', 'degraded', 'unknown'].includes(v.health.status);

/** {title, text, at}: the headline of a fleet; `at` is when the next try comes. */
export function headline(doc) {
  const all = Object.values(doc.services), count = (want) => all.filter(want).length;
  const down = count((v) => rank(v) === 0), degraded = count((v) => rank(v) === 2);
  const waiting = count((v) => rank(v) === 1 && v.state === 'waiting'), unknown = count((v) => rank(v) === 1 && v.state !== 'waiting');
  const paused = count((v) => rank(v) === 3), off = count((v) => rank(v) === 8);
  const parts = [];
  if (down) parts.push(`${plural(down, 'service')} down`);
  if (degraded) parts.push(down ? `${degraded} degraded` : `${plural(degraded, 'service')} degraded`);
  if (!parts.length && waiting + unknown) parts.push(`${plural(waiting + unknown, 'service')} not known yet`);
  const meant = all.length - off;
  const calm = !meant ? 'Nothing is meant to run' : paused ? `${plural(meant - paused, 'service')} healthy, ${paused} paused` : meant === 1 ? 'The one service is healthy' : `All ${meant} services are healthy`;
  const tries = all.filter((v) => rank(v) < 2 && !v.paused).map((v) => v.restarts.next_attempt_at).filter(Boolean).sort();
  return {title: parts.join(', ') || calm, bad: down + degraded + waiting + unknown, down, degraded, waiting, unknown, paused, off,
    ok: count((v) => rank(v) === 9), at: tries[0], needs: count(needsYou)};
}
/** One sentence for a change of verdict, for those who listen; '' when nothing is to be said. */
export function announcement(before, after, doc) {
  if (!before || before.health.status === after.health.status) return '';
  if (after.health.status === 'healthy') return `${title(after)} is healthy again`;
  if (after.health.status === 'down' || after.health.status === 'degraded') return `${title(after)} is ${after.health.status}: ${visible(after.reason || doc.reasons?.find((r) => r.service === after.key)?.message || after.state)}`;
  return '';
}
function endWords(e) {
  if (e.oom) return 'killed by the kernel: out of memory (exit 137)';
  return e.signal != null ? `ended by signal ${e.signal}` : e.code != null ? `exit ${e.code}` : 'it ended';
}
export function lastExit(e) {
  if (!e || (e.code == null && e.signal == null && !e.oom)) return e?.at ? 'how is not known' : 'none';
  if (e.oom) return 'out of memory';
  return e.signal != null ? `signal ${e.signal}${e.core ? ', core' : ''}` : `code ${e.code}`;
}
export const STEP_WORDS = {U: 'up', G: 'degraded', D: 'down', X: 'unknown', P: 'paused', n: 'no data'};
/** What a bar says to those who do not see it. */
export function barLabel(states, what) {
  const n = {};
  for (const c of states) n[c] = (n[c] || 0) + 1;
  return `${what}: ` + Object.entries(n).map(([c, k]) => `${k} ${STEP_WORDS[c] || 'unknown'}`).join(', ');
}

/** The lines of an incident with what belongs together in one: a start and its pid, an exit and the end of its tree. */
export function compact(lines) {
  const out = [];
  for (const line of lines) {
    const last = out[out.length - 1], pair = last && ((line.kind === 'gone' && last.kind === 'exit') || (line.kind === 'start' && last.kind === 'start' && /^generation/.test(last.text) && /^pid/.test(line.text)));
    if (pair) out[out.length - 1] = {...last, text: `${last.text}, ${line.text}`};
    else out.push(line);
  }
  return out;
}
/** The newest `slots` values, with null in front for what is not there yet. */
export const padded = (values, slots = 60) => [...Array(Math.max(0, slots - values.length)).fill(null), ...values.slice(-slots)];
