// The fleet: every host that the API tells of, the worst first. Actions are on the host's own panel.
import {h} from './dom.js';
import {icon} from './icons.js';
import {ago, note, skeleton, unitHref} from './parts.js';
import {clock, failure, plural, visible} from './words.js';

const LOOK = {healthy: ['ok', 'ok', 'Healthy'], degraded: ['warn', 'warn', 'Degraded'], down: ['down', 'down', 'Down'], error: ['down', 'down', 'Error'], lost: ['down', 'plug', 'Lost'], unknown: ['mute', 'mute', 'Unknown']};
const ORDER = ['lost', 'error', 'down', 'degraded', 'unknown', 'healthy'];

export function fleet(app) {
  const answer = app.store.answer('api/fleet', {seconds: 15});
  if (!answer) return [title('Fleet'), skeleton(3)];
  if (!answer.data) return [title('Fleet'), note(failure('Cannot read the fleet', answer.error))];
  const word = (x) => (x.lost_since ? 'lost' : x.counts?.down ? 'down' : x.verdict), hosts = [...(answer.data.hosts || [])].sort((a, b) => ORDER.indexOf(word(a)) - ORDER.indexOf(word(b)));
  if (!hosts.length) return [title('Fleet'), note('No host has told of itself yet.')];
  const bad = hosts.filter((x) => word(x) !== 'healthy').length, alone = hosts.length === 1;
  return [title(bad ? (alone ? unwell(hosts[0]) : `${plural(bad, 'host')} of ${hosts.length} ${bad === 1 ? 'has' : 'have'} problems`) : alone ? 'One host, healthy' : `All ${hosts.length} hosts are healthy`, alone ? 'No other host is configured here: this page shows every host that this keepwell is told of.' : 'Each host heals itself; this is only a view.'),
    h('ul', {class: 'hosts', key: 'hosts'}, hosts.map((x) => host(app, x, word(x))))];
}
const MOST_PROBLEMS = 50, SHOWN = 5; // that a host tells of; of them on its card
function unwell({problems = []}) {
  const n = problems.length, many = n >= MOST_PROBLEMS ? 'At least ' : '';
  return n ? `${many}${plural(n, 'service')} of this host ${n === 1 ? 'is' : 'are'} not well` : 'This host is not well';
}
const title = (text, more) => h('div', {class: 'lead', key: 'lead'}, h('div', {class: 'grow'}, h('h1', {}, text), more ? h('p', {}, more) : null));
function safe(url) {
  try { const u = new URL(url, location.href); return ['http:', 'https:'].includes(u.protocol) ? u.href : null; } catch { return null; }
}
function host(app, x, word) {
  const [color, shape, text] = LOOK[word] || LOOK.unknown, url = x.url && !x.self ? safe(x.url) : null, name = visible(x.host), c = x.counts || {};
  const counts = [[c.healthy, 'healthy'], [c.degraded, 'degraded'], [c.down, 'down'], [c.unknown, 'unknown'], [c.paused, 'paused']].filter(([n]) => n).map(([n, w]) => `${n} ${w}`).join(', ') || 'no services';
  return h('li', {class: 'card host-card s-' + color, key: x.host}, h('div', {class: 'host-h'}, icon(shape, 'st'), h('h2', {}, url ? h('a', {href: url, rel: 'noreferrer'}, name) : x.self ? h('a', {href: '#/'}, name) : name), h('span', {class: 'state'}, text), x.self ? h('span', {class: 'chip'}, 'this host') : null),
    h('p', {class: 'sm i2'}, counts), h('p', {class: 'xs i3'}, `keepwell ${visible(x.version)} · told `, ago(x.time), ' ago', x.lost_since ? `, lost since ${clock(x.lost_since, app.now)}` : ''),
    x.problems?.length ? h('ul', {class: 'host-p'}, x.problems.slice(0, SHOWN).map((p) => h('li', {key: p.service}, x.self ? h('a', {class: 'under', href: unitHref(p.service)}, visible(p.name)) : h('b', {}, visible(p.name)), h('span', {class: 'i2'}, ` ${p.verdict}${p.reason ? ': ' + visible(p.reason) : ''}`))), x.problems.length > SHOWN ? h('li', {key: '\u0000more', class: 'i3'}, `and ${x.problems.length - SHOWN} more`) : null) : null);
}
