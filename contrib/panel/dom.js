// Descriptions of elements (h, s, memo) and the one function that makes the page look like them (patch). Children are
// matched by key, so focus, selection, folds and scroll positions survive an update. Text is only ever text: there is no
// way from a string to markup here.

const SVG = 'http://www.w3.org/2000/svg';

/** An HTML element: attributes, `on…` handlers, `key`, `ref` (called with the new element), `own` (its children belong to
 *  somebody else), `model` (given to the element's own `takes` function on every update). Null and false attributes and children are left out. */
export function h(tag, attrs, ...children) {
  return {tag, attrs: attrs || {}, key: attrs?.key, children: flat(children), svg: false, el: null};
}

/** An SVG element. */
export function s(tag, attrs, ...children) {
  return {tag, attrs: attrs || {}, key: attrs?.key, children: flat(children), svg: true, el: null};
}

/** An element that is described again only when `stamp` (a string) differs; the work may wait for a later frame. What is
 *  there until then is an element `tag` with `attrs`. `lazy`: while it is out of sight, it always waits. */
export function memo(key, stamp, make, {tag = 'div', attrs = {class: 'row holder'}, lazy = false} = {}) {
  return {memo: true, key, stamp, make, holder: {tag, attrs}, lazy, node: null, el: null};
}

function flat(children, out = []) {
  for (const child of children) {
    if (child == null || child === false || child === true) continue;
    if (Array.isArray(child)) flat(child, out);
    else if (typeof child === 'object') out.push(child);
    else {
      // Neighbouring texts are one text node.
      const last = out[out.length - 1];
      if (last && last.text !== undefined) last.text += String(child);
      else out.push({text: String(child), el: null});
    }
  }
  return out;
}

/** Makes the children of `parent` what `children` describe. Answers with the memos that wait, for resume(): those that
 *  were not made before `deadline` (performance.now()), and those out of sight. The next patch() takes them up by itself. */
export function patch(parent, children, deadline = Infinity) {
  const job = {deadline, waiting: []}, focus = document.activeElement;
  parent.kept = reconcile(parent, parent.kept || [], flat(Array.isArray(children) ? children : [children]), job);
  if (focus && focus !== document.activeElement && focus.isConnected && focus !== document.body) focus.focus({preventScroll: true});
  return job.waiting;
}

/** Makes waiting memos, those in sight first, until the deadline; answers with the rest. */
export function resume(waiting, deadline) {
  const order = [...waiting.filter(inSight), ...waiting.filter((x) => !inSight(x))], job = {deadline: Infinity, waiting: []};
  while (order.length && performance.now() < deadline) {
    const {node, stamp, make} = order.shift(), before = node.el;
    if (!before.isConnected) continue;
    remake(node, node.node, make, job);
    node.stamp = stamp;
    if (node.el !== before) before.replaceWith(node.el);
  }
  return order;
}
export const inSight = (waiting) => waiting.node.el.near !== false;

let sight = null;
function watchSight(el) {
  sight ||= new IntersectionObserver((entries) => {
    for (const entry of entries) entry.target.near = entry.isIntersecting;
  }, {rootMargin: '300px'});
  sight.observe(el);
}

const kind = (node) => (node.memo ? 'memo' : node.text !== undefined ? '#text' : node.tag);

function reconcile(parent, old, fresh, job) {
  const keyed = new Map(), loose = new Map();
  for (const node of old) {
    if (node.key != null) keyed.set(node.key, node);
    else {
      const name = kind(node);
      if (!loose.has(name)) loose.set(name, []);
      loose.get(name).push(node);
    }
  }
  const pairs = fresh.map((node) => {
    let match;
    if (node.key != null) {
      match = keyed.get(node.key);
      if (match && kind(match) === kind(node)) keyed.delete(node.key);
      else match = undefined;
    } else match = loose.get(kind(node))?.shift();
    return [match, node];
  });
  for (const node of keyed.values()) node.el.remove();
  for (const list of loose.values()) for (const node of list) node.el.remove();
  let at = parent.firstChild;
  for (const [match, node] of pairs) {
    const before = match?.el;
    update(match, node, job);
    if (before && before !== node.el && before === at) at = at.nextSibling;
    if (before && before !== node.el) before.remove();
    if (node.el === at) at = at.nextSibling;
    else parent.insertBefore(node.el, at);
  }
  return fresh;
}

function update(old, node, job) {
  if (node.memo) return updateMemo(old, node, job);
  if (!old) return create(node, job);
  node.el = old.el;
  if (node.text !== undefined) {
    if (node.text !== old.text) node.el.data = node.text;
    return;
  }
  attributes(node.el, old.attrs, node.attrs);
  if (!node.attrs.own) reconcile(node.el, old.children, node.children, job);
}

function updateMemo(old, node, job) {
  if (old) {
    node.node = old.node;
    node.el = old.el;
    if (old.stamp === node.stamp) return;
  }
  if ((node.lazy && node.el?.near === false) || performance.now() > job.deadline) {
    job.waiting.push({node, stamp: node.stamp, make: node.make});
    node.stamp = old ? old.stamp : null;
    if (old) return;
    node.node = {...node.holder, children: [], svg: false, el: null, holds: true};
    create(node.node, job);
    node.el = node.node.el;
    if (node.lazy) watchSight(node.el);
    return;
  }
  remake(node, node.node, node.make, job);
}
// What only holds the place is replaced: the real element has its ref called.
function remake(node, old, make, job) {
  node.node = make();
  update(old && !old.holds && old.tag === node.node.tag ? old : null, node.node, job);
  if (node.el !== node.node.el && node.lazy) watchSight(node.node.el);
  node.el = node.node.el;
}

function create(node, job) {
  if (node.text !== undefined) {
    node.el = document.createTextNode(node.text);
    return;
  }
  node.el = node.svg ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag);
  attributes(node.el, {}, node.attrs);
  if (!node.attrs.own) reconcile(node.el, [], node.children, job);
  // A select takes its value only once it has options.
  if (node.tag === 'select' && node.attrs.value != null) node.el.value = node.attrs.value;
  node.attrs.ref?.(node.el);
}

// What the user changes as well: set as a property, and only when the description itself changed.
const PROPERTIES = new Set(['value', 'checked', 'open', 'disabled', 'indeterminate']);

function attributes(el, old, fresh) {
  for (const name in old) if (!(name in fresh)) set(el, name, old[name], null);
  for (const name in fresh) if (old[name] !== fresh[name]) set(el, name, old[name], fresh[name]);
}

function set(el, name, old, value) {
  if (name === 'key' || name === 'ref' || name === 'own') return;
  if (name === 'model') {
    el.model = value;
    el.takes?.(value);
    return;
  }
  if (name.startsWith('on')) {
    const type = name.slice(2);
    el.handlers ||= {};
    if (!(type in el.handlers)) el.addEventListener(type, call);
    el.handlers[type] = value;
  } else if (PROPERTIES.has(name) && el.tagName !== 'OPTION') {
    if (name === 'value' && el.value === String(value ?? '')) return;
    el[name] = name === 'value' ? value ?? '' : !!value;
  } else if (value == null || value === false) el.removeAttribute(name);
  else el.setAttribute(name, value === true ? '' : value);
}

function call(event) {
  return this.handlers[event.type]?.call(this, event);
}
