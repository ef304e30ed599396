// The answers of /api/history as what charts and bars take. A point covers a span of time: seconds of each verdict in it,
// latency and resources as min, avg and max; what was not measured is null.
import {time} from './words.js';

export const RANGES = [['30m', '30 min'], ['24h', '24 h'], ['7d', '7 d'], ['90d', '90 d']];
export const historyPath = (key, range) => `api/history/${encodeURIComponent(key)}?range=${range}`;

/** The worst of a point as a letter of a bar; 'n' when nothing is known of it. */
export function letterOf(p) {
  if (p.down_s > 0) return 'D';
  if (p.degraded_s > 0) return 'G';
  if (p.ok_s > 0) return 'U';
  if (p.paused_s > 0) return 'P';
  return p.unknown_s > 0 ? 'X' : 'n';
}

/** {values, misses, from, to} of one figure over the points: its average, null where it was not measured. `misses` are the
 *  points without it in which the service was down. */
export function series(data, name) {
  const points = data.points || [], values = points.map((p) => p[name]?.avg ?? null);
  return {values, misses: points.flatMap((p, i) => (values[i] == null && p.down_s > 0 ? [i] : [])), from: data.from, to: data.to};
}

const BAD = 'nXPUGD';
const worse = (a, b) => (BAD.indexOf(a) > BAD.indexOf(b) ? a : b);
/** 90 letters, the worst of each day, today last, and the time of each. */
export function dayLetters(data, now = Date.now(), slots = 90) {
  const today = new Date(now), letters = Array(slots).fill('n'), half = Math.min(data.step_s || 3600, 86400) * 500;
  const number = (at) => { const d = new Date(at); return Math.round(Date.UTC(d.getFullYear(), d.getMonth(), d.getDate()) / 864e5); };
  for (const p of data.points || []) {
    // A day of the answer is one of UTC: it counts as the local day that most of it is in.
    const i = slots - 1 - Math.max(0, number(now) - number(time(p.time) + half));
    if (i >= 0) letters[i] = worse(letterOf(p), letters[i]);
  }
  return {text: letters.join(''), slots, at: (i) => new Date(today.getFullYear(), today.getMonth(), today.getDate() - (slots - 1 - i), 12).getTime()};
}
/** The points in at most `most` bars, the worst of each. */
export function barLetters(data, most = 72) {
  const points = data.points || [], slots = Math.min(most, points.length), letters = Array(slots).fill('n'), from = time(data.from), to = time(data.to);
  points.forEach((p, i) => { const k = Math.floor(i * slots / points.length); letters[k] = worse(letterOf(p), letters[k]); });
  return {text: letters.join(''), slots, at: (i) => from + (i + 0.5) / slots * (to - from)};
}

/** Good seconds of the known ones; null when nothing is known. Degraded still serves. */
export function ratioOf(points) {
  let good = 0, all = 0;
  for (const p of points || []) {
    good += p.ok_s + p.degraded_s;
    all += p.ok_s + p.degraded_s + p.down_s;
  }
  return all ? good / all : null;
}
/** [['24 h', ratio], ['7 d', …], ['30 d', …]] of the document; 30 days else from the points of 90 days. */
export function ratios(unit, data, now = Date.now()) {
  return [['24 h', '24h', 0], ['7 d', '7d', 7], ['30 d', '30d', 30]].map(([text, name, days]) => [text,
    unit.uptime_ratio?.[name] ?? (days && data ? ratioOf((data.points || []).filter((p) => time(p.time) > now - days * 864e5)) : null)]);
}
