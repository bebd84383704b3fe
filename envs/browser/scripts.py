"""Scripts that run inside pages: a look at what is shown, one clock, and the hooks of MiniWoB++'s pages."""

import json

from ..gui import FLAGS as APP_FLAGS
from ..gui import KINDS as APP_KINDS

_WEB_KINDS = ("link", "checkbox", "radio", "select", "option", "slider", "tab", "image", "container")
KINDS = (*APP_KINDS, *(kind for kind in _WEB_KINDS if kind not in APP_KINDS))
FLAGS = (*APP_FLAGS, *(flag for flag in ("focused", "checked", "enabled") if flag not in APP_FLAGS))
LONGEST = 256  # characters of one element's text
BORN = 1_577_836_800_000  # ms: an episode begins on 2020-01-01, in every run

# Runs before a page's own scripts. The page's clock moves when it is told to, and then runs the timers that are due,
# each at its own time; frames are timers, and events take this clock. (The browser's own virtual time would hold up
# screenshots and wheels of all pages but one.) Who listens to taps is noted, since a page cannot be asked afterwards.
BEFORE = """
(() => {
const tapped = new WeakSet(), add = EventTarget.prototype.addEventListener;
EventTarget.prototype.addEventListener = function (type, ...rest) {
  if (/^(click|mousedown|mouseup|pointerdown|dblclick)$/.test(type) && this instanceof Element) tapped.add(this);
  return add.call(this, type, ...rest);
};

const BORN = %(born)d, RealDate = Date, frame = window.requestAnimationFrame.bind(window);
let now = 0, last = 0;
const timers = new Map();
function later(call, ms, every, rest) {
  timers.set(++last, {at: now + Math.max(+ms || 0, 1), call, every, rest});
  return last;
}
window.setTimeout = (call, ms, ...rest) => later(call, ms, 0, rest);
window.setInterval = (call, ms, ...rest) => later(call, ms, Math.max(+ms || 0, 1), rest);
window.requestAnimationFrame = call => later(() => call(now), 1000 / 60, 0, []);
window.requestIdleCallback = call => later(() => call({didTimeout: false, timeRemaining: () => 50}), 1, 0, []);
window.clearTimeout = window.clearInterval = window.cancelAnimationFrame = window.cancelIdleCallback =
  number => { timers.delete(number); };
performance.now = () => now;
window.Date = new Proxy(RealDate, {
  construct: (date, given, made) => Reflect.construct(date, given.length ? given : [BORN + Math.floor(now)], made),
  apply: date => new date(BORN + Math.floor(now)).toString(),
  get: (date, name) => name === 'now' ? () => BORN + Math.floor(now) : Reflect.get(date, name),
});
RealDate.prototype.constructor = window.Date;
Object.defineProperty(Event.prototype, 'timeStamp', {get: () => now, configurable: true});

const {port1, port2} = new MessageChannel(), waiting = [];
port1.onmessage = () => waiting.shift()();
const promises = () => new Promise(kept => { waiting.push(kept); port2.postMessage(0); });  // what waits for them runs

async function advance(ms) {
  for (const end = now + ms; ; await promises()) {
    let number = 0, due = {at: end};
    for (const [key, timer] of timers)
      if (timer.at < due.at || (!number && timer.at <= end)) [number, due] = [key, timer];
    now = Math.max(now, due.at);
    if (!number) return;
    if (due.every) due.at += due.every, timers.delete(number), timers.set(number, due);
    else timers.delete(number);
    try { typeof due.call === 'string' ? (0, eval)(due.call) : due.call.apply(window, due.rest); }
    catch (error) { console.error(error); }
  }
}

async function begin(seed, url) {  // false: the page has to be loaded again
  const hooks = window.ethogram;
  if (location.href.split('#')[0] !== url) return false;
  if (hooks && hooks.reset) {
    await advance(500);  // what an earlier episode has still under way
    for (const timer of timers.values()) timer.at -= now;
    now = 0;
    hooks.reset(seed);
    await advance(1);
  } else if (now > 0) return false;
  for (let waits = 0; hooks && hooks.ready === false; waits++) {
    if (waits > 50) throw new Error('it is not ready after 5,000 ms of its clock');
    await advance(100);
  }
  return true;
}

const frames = () => new Promise(kept => frame(() => frame(() => frame(kept))));  // what has scrolled is known by then

const KINDS = %(kinds)s, FLAGS = %(flags)s, LONGEST = %(longest)d;
const KIND = Object.fromEntries(KINDS.map((name, i) => [name, i]));
const short = text => {
  if (!text) return '';
  text = text.replace(/\\s+/g, ' ').trim();
  return text.length > LONGEST ? text.slice(0, LONGEST - 1) + '…' : text;
};
const BY_TAG = {A: 'link', BUTTON: 'button', SELECT: 'select', OPTION: 'option', TEXTAREA: 'input', LI: 'item',
                IMG: 'image', CANVAS: 'image', svg: 'image'};
const BY_TYPE = {checkbox: 'checkbox', radio: 'radio', range: 'slider', submit: 'button', button: 'button',
                 reset: 'button', image: 'button'};
const ROLES = new Set(['button', 'tab', 'checkbox', 'radio', 'slider']);
const TAPPED = new Set([...ROLES, 'link', 'select', 'option', 'input']);
const UNSEEN = new Set(['SCRIPT', 'STYLE', 'NOSCRIPT', 'TEMPLATE']);
const [CLICKABLE, EDITABLE, SCROLLABLE, FOCUSED, CHECKED, ENABLED] =
  ['clickable', 'editable', 'scrollable', 'focused', 'checked', 'enabled'].map(name => 1 << FLAGS.indexOf(name));

function kindOf(element, text, leaf) {
  if (element.tagName === 'INPUT') return BY_TYPE[element.type] || 'input';
  const role = element.getAttribute('role');
  if (ROLES.has(role)) return role;
  if (element.isContentEditable && !element.parentElement?.isContentEditable) return 'input';
  return BY_TAG[element.tagName] || (text ? 'text' : leaf ? 'icon' : 'container');
}

function words(element, kind, text) {
  if (kind === 'select') return [...element.options].map(option => option.text.trim()).join(' | ');
  if (element.tagName === 'INPUT' && kind === 'button') return element.value;
  const said = text || element.getAttribute('aria-label') || element.placeholder || element.alt || element.title;
  return said || (kind === 'icon' || kind === 'image' ? element.getAttribute('class') || element.id : '') || '';
}

function valueOf(element, kind) {
  if (kind === 'select') return [...element.selectedOptions].map(option => option.text.trim()).join(' | ');
  if (kind === 'input') return element.isContentEditable ? element.innerText : element.value ?? '';
  return kind === 'slider' ? String(element.value ?? '') : '';
}

const SHOWN = {visibilityProperty: true, opacityProperty: true};

// Lines of one text, cheap to send and to read: whether it is over; the reward; the time; the goal, as JSON; seven
// numbers an element, all in one line; the text of each element; the value of each.
function look(width, height, hidden) {
  const numbers = [], texts = [], values = [], active = document.activeElement;
  const skipped = new Set(hidden ? document.querySelectorAll(hidden) : []);
  function put(rect, clip, kind, flags, parent, text, value) {
    const left = Math.max(rect.left, clip[0]), top = Math.max(rect.top, clip[1]);
    const right = Math.min(rect.right, clip[2]), bottom = Math.min(rect.bottom, clip[3]);
    if (!(right > left && bottom > top)) return parent;
    numbers.push(left, top, right, bottom, KIND[kind], flags, parent);
    values.push(short(value));
    return texts.push(short(text));
  }
  function walk(element, clip, parent, pointer) {
    const tag = element.tagName;
    if (skipped.has(element) || UNSEEN.has(tag) || !element.checkVisibility(SHOWN)) return;
    const all = element.getClientRects();
    let rect = all[0];
    for (let i = 1; i < all.length; i++)
      if (all[i].width * all[i].height > rect.width * rect.height) rect = all[i];
    const within = tag !== 'SELECT' || element.size > 1 || element.multiple;
    let text = '', leaf = true;
    for (let node = element.firstChild; node; node = node.nextSibling)
      if (node.nodeType === 1) leaf = !within;
      else if (node.nodeType === 3 && /\\S/.test(node.data)) text += ' ' + node.data;
    let mixed = !!text && (!leaf || element === document.body);
    if (tag === 'SELECT' || tag === 'TEXTAREA') text = '', mixed = false;
    const kind = kindOf(element, !mixed && text, leaf), style = getComputedStyle(element);
    const overflow = style.overflow, cut = overflow !== 'visible', cursor = style.cursor;
    const scrolls = cut && /auto|scroll/.test(overflow) &&
      (element.scrollHeight > element.clientHeight + 1 || element.scrollWidth > element.clientWidth + 1);
    const taps = TAPPED.has(kind) || cursor === 'pointer' || tag === 'LABEL' || tapped.has(element) ||
      !!element.onclick || !!element.onmousedown;
    const own = taps && (kind !== 'container' || cursor !== 'pointer' || pointer !== 'pointer');
    let number = parent;
    if (rect && element !== document.body && (kind !== 'container' || own || scrolls)) {
      const checked = element.checked || element.selected || element.getAttribute('aria-checked') === 'true' ||
        element.getAttribute('aria-selected') === 'true';
      const flags = (taps && CLICKABLE) | (kind === 'input' && !element.readOnly && !element.disabled && EDITABLE) |
        (scrolls && SCROLLABLE) | (element === active && FOCUSED) | (checked && CHECKED) |
        (!element.disabled && ENABLED);
      number = put(rect, clip, kind, flags, parent, words(element, kind, mixed ? '' : text), valueOf(element, kind));
    }
    if (leaf && !mixed) return;
    let inner = clip;
    if (cut && rect) {
      const x = rect.left + element.clientLeft, y = rect.top + element.clientTop;
      inner = [Math.max(clip[0], x), Math.max(clip[1], y), Math.min(clip[2], x + element.clientWidth),
               Math.min(clip[3], y + element.clientHeight)];
    }
    for (let node = element.firstChild; node; node = node.nextSibling)
      if (node.nodeType === 1) walk(node, inner, number, cursor);
      else if (mixed && node.nodeType === 3 && /\\S/.test(node.data)) {
        const range = document.createRange();
        range.selectNodeContents(node);
        put(range.getBoundingClientRect(), inner, 'text', ENABLED, number, node.data, '');
      }
  }
  if (document.body) walk(document.body, [0, 0, width, height], 0, '');
  const hooks = window.ethogram || {}, goal = JSON.stringify(String(hooks.goal ?? document.title));
  const lines = [+!!hooks.done, Number(hooks.reward) || 0, now, goal, numbers.join(), ...texts, ...values];
  return lines.join('\\n').toWellFormed();
}

function optionsAt(x, y) {
  const select = document.elementsFromPoint(x, y).find(element => element.tagName === 'SELECT');
  if (!select) return null;
  const options = [...select.options].map(option => {
    const rect = option.getBoundingClientRect();
    return {text: option.text.trim(), value: option.value, enabled: !option.matches(':disabled')};
  });
  return {options, chosen: select.selectedIndex, list: select.size > 1 || select.multiple};
}

function optionBox(x, y, index) {  // of a list that stands open on the page
  const select = document.elementsFromPoint(x, y).find(element => element.tagName === 'SELECT');
  const option = select.options[index];
  option.scrollIntoView({block: 'nearest'});
  const rect = option.getBoundingClientRect();
  return [(rect.left + rect.right) / 2, (rect.top + rect.bottom) / 2];
}
Object.defineProperty(window, '__ethogram', {value: {advance, begin, frames, look, optionsAt, optionBox}});
})();
""" % {"born": BORN, "kinds": json.dumps(KINDS), "flags": json.dumps(FLAGS), "longest": LONGEST}  # noqa: UP031  (it is full of braces)

# MiniWoB++'s pages, told in the hooks that any page may have. The cover that would hide the last screen stays away.
MINIWOB = """
window.ethogram = {
  reset(seed) {
    core.startEpisode = () => {};
    core.endEpisode(0);
    if (window.$ && $.resetUniqueId) $.resetUniqueId();
    Math.seedrandom(seed);
    core.startEpisodeReal();
    if (document.activeElement) document.activeElement.blur();
  },
  get goal() { return core.getUtterance(); },
  get ready() { return WOB_TASK_READY; },
  get done() { return WOB_DONE_GLOBAL; },
  get reward() { return WOB_RAW_REWARD_GLOBAL; },
};
"""
MINIWOB_HIDES = "#query, #reward-display, #sync-task-cover, #click-canvas"
