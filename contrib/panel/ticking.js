// What changes with time alone: countdowns, ages, draining bars, and whether the picture is too old to be believed.
// Runs once a second and writes only texts that differ.
import {duration} from './words.js';

export function tick(now, stale, root = document) {
  for (const el of root.querySelectorAll('[data-count]')) {
    const left = (Number(el.dataset.count) || Date.parse(el.dataset.count)) - now;
    write(el, stale ? 'unknown' : left > 0 ? duration(Math.ceil(left / 1000)) : 'now');
  }
  for (const el of root.querySelectorAll('[data-ago]')) {
    const at = Number(el.dataset.ago) || Date.parse(el.dataset.ago);
    write(el, Number.isNaN(at) ? '–' : duration((now - at) / 1000));
  }
  for (const el of root.querySelectorAll('[data-from]')) {
    const from = Number(el.dataset.from), to = Number(el.dataset.to), left = (to - now) / (to - from || 1) * 100;
    el.setAttribute('width', stale ? 0 : Math.max(0, Math.min(100, left)).toFixed(1));
  }
}
function write(el, text) {
  if (el.textContent !== text) el.textContent = text;
}
