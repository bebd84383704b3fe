"use strict";
// Pictures as SVG. Text is only ever set as text nodes, so nothing of a history can become markup.

const SHARES = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#6e7781"];
const KINDS = new Set(["text", "button", "icon", "item", "input"]);
let clips = 0;

function make(space, tag, attributes = {}, ...children) {
  const node = space ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const html = (tag, attributes, ...children) => make(false, tag, attributes, ...children);
const svg = (tag, attributes, ...children) => make(true, tag, attributes, ...children);

function fitted(text, x, y, width, height, kind, anchor = "middle") {
  let size = Math.min(13, 0.68 * height);
  if (text.length * size * 0.56 > width) size = Math.max(8, width / (text.length * 0.56));
  size = Math.min(size, height);
  const most = Math.max(1, Math.floor(width / (size * 0.56)));
  const shown = text.length > most ? text.slice(0, Math.max(1, most - 1)) + "…" : text;
  return svg("text", {
    x, y: y + 0.35 * size, "font-size": size.toFixed(1), "text-anchor": anchor, class: kind,
  }, shown);
}

function element([left, top, right, bottom, kind, text], width, height) {
  const x = left * width, y = top * height, w = (right - left) * width, h = (bottom - top) * height;
  const place = { x, y, width: w, height: h, rx: kind === "button" || kind === "input" ? 4 : 2 };
  if (kind.startsWith("share ")) {
    const k = Number(kind.slice(6)) % SHARES.length;
    const parts = [svg("title", {}, text), svg("rect", { ...place, class: "e share", style: `fill:${SHARES[k]}` })];
    const short = text.slice(0, text.lastIndexOf(":"));
    const room = w - 4 >= 6.5 * Math.min(short.length, 5);
    if (room) parts.push(fitted(short, x + w / 2, y + h / 2, w - 4, Math.min(h, 16), [0, 2, 5, 7].includes(k) ? "dark" : "bright"));
    return svg("g", {}, ...parts);
  }
  if (kind === "caption") return fitted(text, x, y + h / 2, w, h, "", "start");
  const parts = [svg("title", {}, `${kind} ${text}`.trim())];
  if (kind !== "text") parts.push(svg("rect", { ...place, class: `e ${KINDS.has(kind) ? kind : "other"}` }));
  if (text) parts.push(fitted(text, x + w / 2, y + h / 2, w - 6, h, ""));
  return svg("g", {}, ...parts);
}

function arrow(from, to, kind) {
  const angle = Math.atan2(to[1] - from[1], to[0] - from[0]), size = 9;
  const wing = (turn) => [to[0] - size * Math.cos(angle + turn), to[1] - size * Math.sin(angle + turn)].join();
  return [
    svg("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1], class: `${kind} swipe` }),
    svg("path", { d: `M${to.join()}L${wing(0.45)}L${wing(-0.45)}Z`, class: `${kind} arrow` }),
  ];
}

function deed(step, width, height, reference) {
  const kind = reference ? "ref" : "", parts = [];
  if (step.box) {
    const [left, top, right, bottom] = step.box, out = reference ? 4 : 1;
    parts.push(svg("rect", {
      x: left * width - out, y: top * height - out, width: (right - left) * width + 2 * out,
      height: (bottom - top) * height + 2 * out, rx: 4, class: reference ? "ref" : "target",
    }));
  }
  const at = step.at && [step.at[0] * width, step.at[1] * height];
  const small = Math.max(0.6, Math.min(1, width / 240));
  if (step.to) parts.push(...arrow(at || [width / 2, height / 2], [step.to[0] * width, step.to[1] * height], kind));
  else if (step.finger) {
    const [x, y] = { up: [0, -1], down: [0, 1], left: [-1, 0], right: [1, 0] }[step.finger];
    const [cx, cy] = at || [width / 2, height / 2], reach = 0.22;
    parts.push(...arrow([cx - reach * x * width, cy - reach * y * height], [cx + reach * x * width, cy + reach * y * height], kind));
  } else if (at && reference) {
    const r = 11 * small, [x, y] = at;
    parts.push(svg("path", { d: `M${x},${y - r}L${x + r},${y}L${x},${y + r}L${x - r},${y}Z`, class: "ref" }));
  } else if (at) {
    parts.push(svg("circle", { cx: at[0], cy: at[1], r: 10 * small, class: "tap" }));
    parts.push(svg("circle", { cx: at[0], cy: at[1], r: 3 * small, class: "dot" }));
  }
  if (step.text && !reference) {
    const size = Math.max(8, 12 * small), word = step.text.length > 24 ? step.text.slice(0, 23) + "…" : step.text;
    const w = Math.min(width - 4, (word.length + 2) * size * 0.6 + 6), h = size + 7;
    const [cx, cy] = at || [width / 2, height / 2], below = step.box ? step.box[3] * height + 3 : cy + 12 * small;
    const x = Math.min(Math.max(2, cx - w / 2), width - w - 2), y = Math.min(below, height - h - 2);
    parts.push(svg("rect", { x, y, width: w, height: h, rx: 4, class: "typed" }));
    parts.push(svg("text", { x: x + w / 2, y: y + h / 2 + size * 0.35, "font-size": size, "text-anchor": "middle", class: "typing" }, `“${word}”`));
  }
  return parts;
}

function picture(screen, width, step, label) {
  const height = Math.round(width / screen.ratio), clip = `clip${clips++}`;
  const inside = screen.pixels ? [svg("image", { href: screen.pixels, width, height })] : [];
  inside.push(...screen.elements.map((part) => element(part, width, height)));
  const over = step ? [...deed(step, width, height, false), ...(step.reference ? deed(step.reference, width, height, true) : [])] : [];
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: screen.pixels ? "photo" : "", role: "img", "aria-label": label },
    svg("clipPath", { id: clip }, svg("rect", { width, height, rx: 6 })),
    svg("rect", { x: 0.5, y: 0.5, width: width - 1, height: height - 1, rx: 6, class: "glass" }),
    svg("g", { "clip-path": `url(#${clip})` }, ...inside, ...over));
}

function curve(a, b, bow, gap) {
  const dx = b[0] - a[0], dy = b[1] - a[1], far = Math.hypot(dx, dy) || 1;
  const middle = [(a[0] + b[0]) / 2 - (dy / far) * bow, (a[1] + b[1]) / 2 + (dx / far) * bow];
  const cut = (from, by) => {
    const away = Math.hypot(middle[0] - from[0], middle[1] - from[1]) || 1;
    return [from[0] + ((middle[0] - from[0]) / away) * by, from[1] + ((middle[1] - from[1]) / away) * by];
  };
  return [cut(a, gap), middle, cut(b, gap + 5)];
}

function road(a, b, bow, kind, counted) {
  const [start, middle, end] = curve(a, b, bow, 15);
  const d = `M${start.join()}Q${middle.join()} ${end.join()}`, parts = [svg("path", { d, class: `move ${kind}`, "marker-end": kind && `url(#${kind})` })];
  if (counted > 1) {
    const x = (start[0] + 2 * middle[0] + end[0]) / 4, y = (start[1] + 2 * middle[1] + end[1]) / 4;
    parts.push(svg("text", { x, y: y - 4, "font-size": 12, "text-anchor": "middle" }, `${counted}×`));
  }
  return parts;
}

// The graph of screens with a way taken (solid, orange) and the shortest (dashed, blue).
function plan(graph, way, here, go) {
  const names = Object.keys(graph.nodes), columns = new Map();
  for (const name of names) columns.set(graph.nodes[name][0], (columns.get(graph.nodes[name][0]) || 0) + 1);
  const width = Math.max(340, Math.min(1100, 60 + 128 * columns.size)), height = 100 + 48 * (Math.max(...columns.values()) - 1);
  const at = (name) => [34 + graph.nodes[name][0] * (width - 68), 50 + graph.nodes[name][1] * (height - 100)];
  const bow = (a, b) => {
    const [x, y] = at(a), [u, v] = at(b), far = Math.hypot(u - x, v - y);
    return Math.min(52, far < 110 ? 12 : 0.16 * far);
  };
  const marker = (id, colour) => svg("marker", { id, viewBox: "0 0 10 10", refX: 6, refY: 5, markerWidth: 11, markerHeight: 11, markerUnits: "userSpaceOnUse", orient: "auto" },
    svg("path", { d: "M0,1L9,5L0,9Z", style: `fill:var(${colour})` }));
  const moves = (path) => path.slice(1).map((end, k) => [path[k], end]);
  const went = new Map();
  for (const [a, b] of moves(way.taken)) went.set(JSON.stringify([a, b]), (went.get(JSON.stringify([a, b])) || 0) + 1);
  const visits = new Map();
  for (const name of way.taken) visits.set(name, (visits.get(name) || 0) + 1);
  const parts = [svg("defs", {}, marker("went", "--did"), marker("short", "--blue"))];
  for (const [a, b] of graph.edges) if (a !== b) parts.push(...road(at(a), at(b), bow(a, b), "", 0));
  for (const [a, b] of moves(way.shortest)) parts.push(...road(at(a), at(b), bow(a, b) + 9, "short", 0));
  for (const [edge, count] of went) { const [a, b] = JSON.parse(edge); parts.push(...road(at(a), at(b), bow(a, b), "went", count)); }
  for (const name of names) {
    const [x, y] = at(name), off = way.detours.includes(name), count = visits.get(name) || 0;
    const kind = `node${count ? " been" : ""}${off ? " detour" : ""}${name === here ? " here" : ""}`;
    const shape = off ? svg("rect", { x: x - 12, y: y - 12, width: 24, height: 24, class: kind }) : svg("circle", { cx: x, cy: y, r: 13, class: kind });
    const label = svg("text", { x, y: y + 4, "font-size": 12, "text-anchor": "middle", class: "name" }, name.length > 4 ? name.slice(0, 3) + "…" : name);
    const again = count > 1 ? svg("text", { x: x + 13, y: y - 12, "font-size": 12 }, `↺${count - 1}`) : null;
    parts.push(svg("g", { class: count ? "at" : "", click: () => go(name) }, svg("title", {}, `screen ${name}, visited ${count}×`), shape, label, again));
  }
  return svg("svg", { class: "map", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "screens, the way taken and the shortest" }, ...parts);
}
