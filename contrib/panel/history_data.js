// The answers of /api/history as what charts and bars take. A point covers a span of time: seconds of each verdict in it,
// latency and resources as min, avg and max; what was not measured is null.
import {time} from './words.js';

export const RANGES = [['30m', '30 min'], ['24h', '24 h'], ['7d', '7 d'], ['90d', '90 d']];
export const historyPath = (key, range) => `api/history/${encodeURIComponent(key)}?range=${range}`;

const seconds = (p, word) => p[word + '_s'] ?? p[word]?.seconds ?? p[word] ?? 0;
const known = (p) => seconds(p, 'ok') + seconds(p, 'degraded') + seconds(p, 'down') + seconds(p, 'unknown') > 0;
/** The worst of a point as a letter of a bar. */
export function letterOf(p) {
  if (!p || !known(p)) return 'n';
  return seconds(p, 'down') > 0 ? 'D' : seconds(p, 'degraded') > 0 ? 'G' : seconds(p, 'ok') > 0 ? 'U' : 'X';
}
const startOf = (p) => time(p.from ?? p.time ?? p.at ?? p.start);

/** One series with its gaps: the points of `data` on an even grid from the first to the last; `pick(p)` is the value. */
export function series(data, pick) {
  const points = (data.points || []).map((p) => [startOf(p), p]).sort((a, b) => a[0] - b[0]);
  if (!points.length) return {values: [], misses: [], from: Date.now(), to: Date.now()};
  const step = (data.step_s ?? data.resolution_s ?? 3600) * 1e3, from = points[0][0], to = points[points.length - 1][0], n = Math.min(2400, Math.round((to - from) / step) + 1);
  const values = Array(n).fill(null), misses = [];
  for (const [at, p] of points) {
    const i = Math.min(n - 1, Math.round((at - from) / step)), v = pick(p);
    if (v != null) values[i] = v;
    else if (seconds(p, 'down') > 0) misses.push(i);
  }
  return {values, misses, from, to: Math.max(to, from + step)};
}
export const mean = (x) => (x == null ? null : typeof x === 'number' ? x : x.avg ?? null);
export const latencySeries = (data) => series(data, (p) => mean(p.latency_ms ?? p.latency));
export const cpuSeries = (data) => series(data, (p) => mean(p.cpu_percent ?? p.cpu));
export const memorySeries = (data) => series(data, (p) => mean(p.memory_bytes ?? p.memory));

const ORDER = 'nXUGD';
/** 90 letters, the worst of each local day, today last, and the time of each. */
export function dayLetters(data, now = Date.now(), slots = 90) {
  const today = new Date(now), letters = Array(slots).fill('n');
  const dayOf = (at) => { const d = new Date(at); return Math.round((Date.UTC(today.getFullYear(), today.getMonth(), today.getDate()) - Date.UTC(d.getFullYear(), d.getMonth(), d.getDate())) / 864e5); };
  for (const p of data.points || []) {
    const i = slots - 1 - dayOf(startOf(p)), c = letterOf(p);
    if (i >= 0 && i < slots && ORDER.indexOf(c) > ORDER.indexOf(letters[i])) letters[i] = c;
  }
  return {text: letters.join(''), at: (i) => new Date(today.getFullYear(), today.getMonth(), today.getDate() - (slots - 1 - i), 12).getTime()};
}

/** Good seconds of the known ones in points; null when nothing is known. Degraded still serves. */
export function ratioOf(points) {
  let good = 0, all = 0;
  for (const p of points || []) {
    good += seconds(p, 'ok') + seconds(p, 'degraded');
    all += seconds(p, 'ok') + seconds(p, 'degraded') + seconds(p, 'down');
  }
  return all ? good / all : null;
}
/** [['24 h', ratio], ['7 d', …], ['30 d', …]], from the document, else from points. */
export function ratios(unit, data, now = Date.now()) {
  return [['24 h', '24h', 864e5], ['7 d', '7d', 7 * 864e5], ['30 d', '30d', 30 * 864e5]].map(([text, name, span]) => [text,
    unit.uptime_ratio?.[name] ?? (data ? ratioOf((data.points || []).filter((p) => startOf(p) > now - span)) : null)]);
}
