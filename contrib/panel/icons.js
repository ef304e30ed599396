// The icons: a 16 px grid, one path each; each verdict has an outline of its own, so that it reads without colour.
import {s} from './dom.js';

const PATHS = {
  ok: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8M5.4 8.2l1.8 1.8 3.4-3.8',
  warn: 'M8 2 14.4 13.4H1.6ZM8 6.4v3M8 11.4v.1',
  down: 'M5.3 1.8h5.4l3.5 3.5v5.4l-3.5 3.5H5.3l-3.5-3.5V5.3ZM6 6l4 4M10 6l-4 4',
  hold: 'M8 1.8v1.4M8 12.8v1.4M1.8 8h1.4M12.8 8h1.4M3.6 3.6l1 1M11.4 11.4l1 1M12.4 3.6l-1 1M4.6 11.4l-1 1M8 6v2.4l1.4 1',
  pause: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8M6.4 5.8v4.4M9.6 5.8v4.4',
  mute: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8M6.4 6.4a1.7 1.7 0 1 1 2.2 1.6c-.4.2-.6.4-.6.9M8 11.2v.1',
  stop: 'M4 4h8v8H4Z',
  retry: 'M13.4 8A5.4 5.4 0 1 1 11.6 4M13.4 2v3h-3',
  cool: 'M4.4 2h7.2M4.4 14h7.2M5 2c0 4 6 4.4 6 8v4M11 2c0 4-6 4.4-6 8v4',
  caret: 'M4 6.2 8 10.2 12 6.2',
  chev: 'M6 3.5 10.5 8 6 12.5',
  play: 'M5 3.2v9.6L12.6 8Z',
  stopsq: 'M4.5 4.5h7v7h-7Z',
  exit: 'M6.5 2.5h-4v11h4M6.5 8h7M10.5 5l3 3-3 3',
  dot: 'M8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6',
  decide: 'M8 2 14 8 8 14 2 8Z',
  more: 'M3.5 8h.1M8 8h.1M12.5 8h.1',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1v1.4M8 13.6V15M1 8h1.4M13.6 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1',
  moon: 'M13.6 9.6A6 6 0 0 1 6.4 2.4a6 6 0 1 0 7.2 7.2Z',
  bell: 'M3.4 11.6h9.2l-1-1.6V7a3.6 3.6 0 0 0-7.2 0v3ZM6.6 13.6h2.8',
  plug: 'M5.5 2v3.5M10.5 2v3.5M3.5 5.5h9V8a4.5 4.5 0 0 1-9 0ZM8 12.5V15',
  inbox: 'M2 9.5 4 3h8l2 6.5V13H2ZM2 9.5h3.5l1 1.6h3l1-1.6H14',
  info: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8M8 7.4v3.6M8 5v.1',
  save: 'M8 2.5v7M5 6.8l3 3 3-3M2.8 13h10.4',
  lock: 'M4 7.4h8V13H4ZM5.6 7.4V5.2a2.4 2.4 0 0 1 4.8 0v2.2',
  key: 'M10.6 2.4a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8.4 7.6 2.8 13.2M4.8 11.2l1.8 1.8',
};

export function icon(name, cls = '') {
  return s('svg', {class: cls ? 'ico ' + cls : 'ico', viewBox: '0 0 16 16', 'aria-hidden': 'true'}, s('path', {d: PATHS[name] || PATHS.dot}));
}

export function brandMark() {
  return s('svg', {viewBox: '0 0 16 16', 'aria-hidden': 'true'}, s('rect', {width: 16, height: 16, rx: 4}),
    s('path', {d: 'M3 9h2.2l1.6-4 2.4 7 1.6-3H13'}));
}
