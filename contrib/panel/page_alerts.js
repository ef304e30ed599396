// Alerts: what needs somebody first, then acknowledged, held back, resolved. Where nothing evaluates alerts, the page says so.
import {h} from './dom.js';
import {icon} from './icons.js';
import {button, menu, note, skeleton, unitHref} from './parts.js';
import {clock, failure, plural, visible} from './words.js';

const SEVERITY = {critical: ['down', 'down'], error: ['down', 'down'], warning: ['warn', 'warn'], info: ['hold', 'info']};
const TIMES = ['not sent', 'sent once', 'sent twice'];

export const needsSomebody = (a) => a.state === 'firing' && !a.acked && !a.suppressed_by && !(a.silenced_until && Date.parse(a.silenced_until) > Date.now());
export function alerts(app) {
  const live = app.source.live, answer = live ? app.store.answer('api/alerts', {stamp: String(app.store.doc.alerts?.length), seconds: 15}) : null;
  const past = live ? app.store.answer('api/alerts/history', {seconds: 60}) : null;
  if (live && !answer) return [title('Alerts'), skeleton(3)];
  const all = answer?.data?.alerts ?? app.store.doc.alerts ?? [], resolved = past?.data?.alerts ?? [];
  const firing = all.filter(needsSomebody), acked = all.filter((a) => a.state === 'firing' && a.acked), held = all.filter((a) => a.state === 'suppressed' || a.suppressed_by);
  const rest = all.filter((a) => !firing.includes(a) && !acked.includes(a) && !held.includes(a));
  const evaluated = answer?.data ? answer.data.evaluated !== false : all.length > 0;
  if (!all.length && !resolved.length && !evaluated) return [title('Alerts', 'No rules are evaluated here.'), h('div', {class: 'card calm s-mute', key: 'none'}, icon('bell', 'st'), h('span', {}, 'keepwell raises no alerts itself: what is wrong stands on the overview. Alert rules for Prometheus come with it, in /usr/share/doc/keepwell/prometheus.'))];
  return [title(firing.length ? `${plural(firing.length, 'alert')} ${firing.length === 1 ? 'needs' : 'need'} you` : 'No alert needs you', held.length ? 'Held back alerts are never sent, they end with their cause.' : ''),
    all.length + resolved.length ? null : h('div', {class: 'card calm s-ok', key: 'none'}, icon('ok', 'st'), h('span', {}, 'Nothing fires and nothing has lately.')),
    list(app, 'Firing', firing), list(app, 'Acknowledged', acked), list(app, 'Held back', held), list(app, 'Pending', rest), list(app, 'Resolved', resolved.slice(0, 50), true),
    answer && !answer.data ? note(failure('Cannot read the alerts', answer.error)) : null];
}
const title = (text, more) => h('div', {class: 'lead', key: 'lead'}, h('div', {class: 'grow'}, h('h1', {}, text), more ? h('p', {}, more) : null));
const list = (app, text, all, over) => (all.length ? h('section', {class: 'sec', key: text}, h('h2', {}, text, h('span', {class: 'i3'}, ' ' + all.length)), h('ul', {class: 'card dim'}, all.map((a) => item(app, a, over)))) : null);

function item(app, a, over) {
  const [color, shape] = SEVERITY[a.severity] || SEVERITY.warning, held = a.state === 'suppressed' || a.suppressed_by, quiet = over || held;
  const facts = [over ? `${clock(a.startsAt, app.now)} to ${clock(a.endsAt, app.now)}, resolved` : `${held ? 'held back' : a.state} since ${clock(a.startsAt, app.now)}`,
    over ? '' : TIMES[a.sent_count] ?? `sent ${a.sent_count} times`, a.escalation_level ? 'escalated' : '', a.acked ? 'acknowledged' : '', a.silenced_until ? `silent until ${clock(a.silenced_until, app.now)}` : '', a.name].filter(Boolean).join(', ');
  const known = a.service && app.store.unit(a.service);
  return h('li', {key: a.id, class: `al s-${quiet ? 'mute' : color}${over ? ' slim' : ''}`}, icon(over ? 'ok' : held ? 'hold' : shape, 'st'), h('span', {class: 'state sev'}, a.severity),
    h('div', {}, h('p', {}, known ? h('a', {href: unitHref(a.service)}, visible(a.message)) : visible(a.message)), held ? h('p', {class: 'try'}, `held back: ${visible(a.suppressed_by || 'its cause fires already')}`) : a.suggestion && !over ? h('p', {class: 'try'}, 'Try: ' + visible(a.suggestion)) : null, h('p', {class: 'meta'}, facts)),
    quiet || !app.canControl ? null : h('div', {class: 'acts'}, a.acked ? null : button('Acknowledge', {onclick: () => app.actions.alert(a.id, 'ack')}),
      menu('Silence', [['for 1 h', '1h'], ['for 4 h', '4h'], ['for 24 h', '24h']].map(([text, span]) => [text, () => app.actions.alert(a.id, 'silence', {for: span})]), {cls: 'ghost'})));
}
