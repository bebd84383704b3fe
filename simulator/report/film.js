"use strict";
// The viewer of episodes: a strip of screens, one step in full, the way through the screens, a table of episodes.

const KEYS = [["→ or j", "next step"], ["← or k", "step before"], ["Home, End", "first step, end"], ["n, p", "next episode, one before"],
  ["/", "filter the episodes"], ["?", "this list"]];
const MOST_LISTED = 300;

const signOf = (verdict) => verdict === true ? ["✓", "good", "right"] : verdict === false ? ["✗", "bad", "wrong"]
  : verdict === null ? ["–", "quiet", "not counted"] : ["◐", "", String(verdict)];
const within = (spans, t) => spans.some(([first, last]) => first <= t && t <= last);
const shortly = (value) => typeof value === "string" ? value : JSON.stringify(value);

class Film {
  constructor(section, number, many) {
    this.data = JSON.parse(section.querySelector("script").textContent);
    this.section = section; this.prefix = many ? `${number}:` : ""; this.number = number;
    this.episodes = this.data.episodes; this.kept = this.episodes.map((_, k) => k);
    this.order = null; this.index = -1; this.at = 0;
    const control = (text, label, run) => html("button", { type: "button", "aria-label": label, title: label, click: run }, text);
    this.chooser = html("select", { "aria-label": "episode", change: () => this.open(Number(this.chooser.value), 0) },
      ...this.episodes.map((episode, k) => html("option", { value: k }, this.named(episode))));
    const count = this.episodes.length;
    const choose = count > 1 ? [control("‹", "episode before (p)", () => this.turn(-1)), this.chooser, control("›", "next episode (n)", () => this.turn(1))] : [];
    this.place = html("span", { class: "quiet", "aria-live": "polite" });
    const bar = html("div", { class: "bar" }, ...choose, control("← step", "step before (←, k)", () => this.go(this.at - 1)),
      control("step →", "next step (→, j)", () => this.go(this.at + 1)), this.place, control("?", "keys (?)", () => help()));
    this.title = html("div", {});
    this.strip = html("ol", { class: "strip", "aria-label": "steps" });
    this.step = html("div", { class: "step" });
    this.map = html("div", {});
    section.append(bar, this.title, this.strip, this.step, this.map);
    if (count > 1) section.append(this.listing());
    section.addEventListener("pointerdown", () => { active = this; });
  }

  named(episode) {
    const result = episode.success === undefined ? `return ${episode.return}` : episode.success ? "✓ success" : "✗ failure";
    const steps = episode.steps.length;
    return episode.row === "all" ? "all rows" : `episode ${episode.row}: ${result}, ${steps} step${steps === 1 ? "" : "s"}`;
  }

  turn(by) {
    const place = this.kept.indexOf(this.index) + by;
    if (place >= 0 && place < this.kept.length) this.open(this.kept[place], 0);
  }

  open(index, at) {
    const episode = this.episodes[index];
    if (this.index !== index) {
      this.index = index; this.chooser.value = String(index);
      const result = episode.success === undefined ? [] : [html("span", { class: episode.success ? "good" : "bad" }, episode.success ? "✓ success" : "✗ failure"), " · "];
      const end = [episode.return === undefined ? "" : `${this.data.pooled ? "mean " : ""}return ${episode.return}`, `${episode.steps.length} steps`, episode.end].filter(Boolean).join(" · ");
      this.title.replaceChildren(...(episode.goal ? [html("p", { class: "goal" }, `Goal: ${episode.goal}`)] : []), html("p", {}, ...result, end));
      this.frames(episode);
      if (this.row) for (const line of this.body.children) line.classList.toggle("chosen", Number(line.dataset.index) === index);
    }
    this.go(at);
  }

  get last() { const episode = this.episodes[this.index]; return episode.steps.length - (episode.last === undefined ? 1 : 0); }
  screen(t) {
    const episode = this.episodes[this.index];
    return this.data.screens[t < episode.steps.length ? episode.steps[t].screen : episode.last];
  }

  frames(episode) {
    if (this.watch) this.watch.disconnect();
    this.watch = new IntersectionObserver((seen) => {
      for (const { isIntersecting, target } of seen) if (isIntersecting) this.draw(Number(target.dataset.step));
    }, { root: this.strip, rootMargin: "0px 600px" });
    const before = new Set(), frames = [];
    for (let t = 0; t <= this.last; t++) {
      const step = episode.steps[t], screen = this.screen(t), width = screen.is === "panel" ? 164 : screen.ratio > 1 ? 150 : 112;
      const pic = html("div", { class: "pic", "data-step": t, "data-width": width, style: `width:${width}px;height:${Math.round(width / screen.ratio)}px` });
      const moved = t > 0 && this.screen(t - 1).name !== screen.name, again = moved && !screen.is && before.has(screen.name);
      before.add(screen.name);
      const signs = [again ? "↺" : "", step && step.reward > 0 && !screen.is ? `+${step.reward}` : "", step ? this.verdict(step)[0] : ""].join(" ");
      frames.push(html("li", {}, html("button", { type: "button", class: "frame", style: `width:${width + 14}px`, click: () => this.go(t),
        title: again ? "a screen seen before" : null },
        html("span", { class: "head" }, html("b", {}, step ? String(t) : "end"), html("span", {}, signs)), pic,
        html("span", { class: "what" }, step ? step.words : episode.end), html("span", { class: "memory" }))));
      this.watch.observe(pic);
    }
    this.strip.replaceChildren(...frames);
    this.strip.classList.toggle("remembers", episode.steps.some((step) => step.saw));
  }

  draw(t) {
    const pic = this.strip.children[t].querySelector(".pic");
    if (!pic.firstChild) pic.append(picture(this.screen(t), Number(pic.dataset.width), this.episodes[this.index].steps[t], `step ${t}`));
  }

  verdict(step) {
    const given = Object.values(step.verdicts || {}).filter((verdict) => verdict !== null);
    if (!given.length) return ["", ""];
    return given.every((v) => v === true) ? ["✓", "right by every metric"] : given.every((v) => v === false) ? ["✗", "wrong by every metric"] : ["◐", "right by some metrics"];
  }

  go(t) {
    const episode = this.episodes[this.index];
    this.at = Math.max(0, Math.min(t, this.last));
    const step = episode.steps[this.at], screen = this.screen(this.at), frames = this.strip.children;
    for (let k = 0; k < frames.length; k++) {
      const frame = frames[k].firstChild, past = step && step.saw && k < this.at;
      const saw = past && within(step.saw, k);
      if (k === this.at) frame.setAttribute("aria-current", "true"); else frame.removeAttribute("aria-current");
      frame.classList.toggle("saw", Boolean(saw)); frame.classList.toggle("dropped", Boolean(past && !saw));
    }
    for (let k = Math.max(0, this.at - 8); k <= Math.min(this.last, this.at + 8); k++) this.draw(k);
    const frame = frames[this.at];
    this.strip.scrollLeft = frame.offsetLeft - this.strip.offsetLeft - (this.strip.clientWidth - frame.clientWidth) / 2;
    this.place.textContent = step ? `step ${this.at} of ${this.last}` : `after step ${this.at - 1}`;
    const width = screen.is === "panel" ? 460 : screen.is === "list" ? 220 : screen.ratio > 1 ? 440 : 250;
    const figures = [html("figure", {}, html("figcaption", {}, screen.is ? "shown" : step ? "before" : "end"), picture(screen, width, step, `step ${this.at}`))];
    if (step && !screen.is && this.at < this.last) figures.push(html("figure", {}, html("figcaption", {}, "after"), picture(this.screen(this.at + 1), width, null, "after")));
    this.step.classList.toggle("broad", screen.ratio > 1 || Boolean(screen.is));
    this.step.replaceChildren(...figures, this.told(step, episode));
    this.way(episode, screen);
    active = this;
    history.replaceState(null, "", `#${this.prefix}${episode.row}/${this.at}`);
  }

  told(step, episode) {
    if (!step) return html("div", { class: "told" }, html("p", {}, `The episode ended: ${episode.end}.`));
    const rows = [];
    const line = (name, ...parts) => rows.push(html("dt", {}, name), html("dd", {}, ...parts));
    line(this.data.pooled ? "running" : "action", html("span", { class: "did" }, step.words));
    if (step.reference) line("reference", html("span", { class: "meant" }, step.reference.words));
    const verdicts = Object.entries(step.verdicts || {});
    if (verdicts.length) line("verdicts", html("ul", {}, ...verdicts.map(([name, verdict]) => {
      const [sign, kind, word] = signOf(verdict);
      return html("li", { title: word }, html("span", { class: kind }, `${sign} `), name);
    })));
    if (step.saw) {
      const said = step.saw.map(([a, b]) => a === b ? `${a}` : `${a} to ${b}`).join(", ") || "no earlier step";
      let dropped = 0;
      for (let k = 0; k < this.at; k++) if (!within(step.saw, k)) dropped++;
      const single = step.saw.length === 1 && step.saw[0][0] === step.saw[0][1];
      line("history seen", `${step.saw.length ? (single ? "step " : "steps ") : ""}${said}${dropped ? `; ${dropped} of ${this.at} dropped` : ""}`);
    }
    if ((step.past || []).length) line("as it saw it", html("ol", { class: "past" }, ...step.past.map((text) => html("li", {}, text))));
    if (step.reward !== null) line(this.data.pooled ? "mean reward" : "reward", String(step.reward));
    if (step.state !== undefined) line("state before", shortly(step.state));
    for (const [name, value] of Object.entries(step.sites || {})) line(name, this.value(name, value));
    return html("div", { class: "told" }, html("dl", {}, ...rows),
      html("details", {}, html("summary", {}, "JSON of this step"), html("pre", {}, JSON.stringify(step, null, 1))));
  }

  value(name, value) {
    const chances = Array.isArray(value) && value.length > 1 && value.every((part) => typeof part === "number" && part >= 0 && part <= 1);
    if (!chances || value.every(Number.isInteger)) return shortly(value);
    return html("div", { class: "chance" }, ...value.flatMap((part, k) => [html("span", {}, (this.data.words[name] || [])[k] || String(k)),
      html("span", {}, html("i", { style: `width:${100 * part}%` })), html("span", {}, part.toPrecision(3))]));
  }

  way(episode, screen) {
    if (!episode.way) { this.map.replaceChildren(); return; }
    const { taken, shortest, to, revisits, detours } = episode.way, count = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
    const go = (name) => { for (let t = 0; t <= this.last; t++) if (this.screen(t).name === name) { this.go(t); return; } };
    const sign = (...parts) => svg("svg", { width: 30, height: 16, viewBox: "0 0 30 16", "aria-hidden": "true" }, ...parts);
    const key = (text, ...parts) => html("span", { class: "key" }, sign(...parts), text);
    const line = (kind) => svg("path", { d: "M1,8L29,8", class: `move ${kind}` });
    this.map.replaceChildren(html("h3", {}, "Way through the screens"),
      html("p", {}, `${count(taken.length - 1, "move")}; the shortest way to ${to} has ${shortest.length - 1}; ${count(revisits, "return")} to screens seen before; ${count(detours.length, "screen")} off the shortest way.`),
      html("div", { class: "wide" }, plan(this.data.graph, episode.way, screen.name, go)),
      html("p", { class: "quiet" }, key("taken", line("went")), key("shortest", line("short")),
        key("here", svg("circle", { cx: 15, cy: 8, r: 7, class: "node here" })), key("visited", svg("circle", { cx: 15, cy: 8, r: 7, class: "node been" })),
        key("off the shortest", svg("rect", { x: 8, y: 1, width: 14, height: 14, class: "node been detour" })), key("not visited", svg("circle", { cx: 15, cy: 8, r: 7, class: "node" })), "↺ returns"));
  }

  listing() {
    const all = this.episodes, columns = [["episode", (e) => e.row]];
    if (all.some((e) => e.goal)) columns.push(["goal", (e) => e.goal || ""]);
    columns.push(["steps", (e) => e.steps.length], ["return", (e) => e.return]);
    if (all.some((e) => e.success !== undefined)) columns.push(["result", (e) => e.success ? "✓ success" : "✗ failure"]);
    if (all.some((e) => e.way)) columns.push(["returns", (e) => e.way ? e.way.revisits : ""]);
    columns.push(["end", (e) => e.end]);
    for (const name of Object.keys(all[0].by || {})) columns.push([name, (e) => e.by[name]]);
    this.columns = columns; this.row = true;
    const heads = columns.map(([name], k) => html("th", { scope: "col" }, html("button", { type: "button", title: `sort by ${name}`, click: () => {
      this.order = this.order && this.order[0] === k ? [k, -this.order[1]] : [k, 1]; this.fill();
    } }, name)));
    this.filter = html("input", { type: "search", placeholder: "words to look for", "aria-label": "filter episodes", input: () => this.fill() });
    this.body = html("tbody", {}); this.said = html("span", { class: "quiet", "aria-live": "polite" });
    const table = html("table", { class: "list" }, html("thead", {}, html("tr", {}, ...heads)), this.body);
    const part = html("details", { open: "" }, html("summary", {}, "Episodes"), html("div", { class: "bar" }, this.filter, this.said), html("div", { class: "wide" }, table));
    this.fill();
    return part;
  }

  fill() {
    const asked = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const cells = this.episodes.map((episode) => this.columns.map(([, value]) => value(episode)));
    this.kept = cells.map((_, k) => k).filter((k) => asked.every((word) => cells[k].join(" ").toLowerCase().includes(word)));
    if (this.order) {
      const [column, sign] = this.order, compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
      this.kept.sort((a, b) => sign * compare(cells[a][column], cells[b][column]) || a - b);
    }
    const shown = this.kept.slice(0, MOST_LISTED);
    this.body.replaceChildren(...shown.map((k) => html("tr", { "data-index": k, class: k === this.index ? "chosen" : "", click: () => { this.open(k, 0); this.section.scrollIntoView(); } },
      ...cells[k].map((value, c) => html("td", { class: c ? (this.columns[c][0] === "goal" ? "goal-cell" : String(value).startsWith("✓") ? "good" : String(value).startsWith("✗") ? "bad" : "") : "" },
        c ? String(value) : html("a", { href: `#${this.prefix}${value}/0`, click: (event) => { event.preventDefault(); } }, String(value)))))));
    this.said.textContent = `${this.kept.length} of ${this.episodes.length}${shown.length < this.kept.length ? `, the first ${shown.length} listed: filter for others` : ""}`;
  }
}

let active = null;
const films = [];

function help() {
  const box = document.querySelector("dialog");
  if (!box.firstChild) box.append(html("h2", {}, "Keys"), html("table", {}, html("tbody", {}, ...KEYS.map(([keys, what]) => html("tr", {}, html("td", {}, html("kbd", {}, keys)), html("td", {}, what))))),
    html("p", { class: "quiet" }, "The address names episode and step: copy it to link to what you see."), html("form", { method: "dialog" }, html("button", {}, "Close")));
  if (box.open) box.close(); else box.showModal();
}

function follow() {
  const [, number, row, step] = /^#(?:(\d+):)?([^/:]+)\/(\d+)$/.exec(location.hash) || [];
  const asked = row !== undefined && films[Number(number || 0)];
  const index = asked ? asked.episodes.findIndex((episode) => String(episode.row) === row) : -1;
  if (index >= 0) { asked.open(index, Number(step)); return true; }
  return false;
}

document.addEventListener("DOMContentLoaded", () => {
  const sections = [...document.querySelectorAll(".film")], linked = location.hash;
  sections.forEach((section, k) => films.push(new Film(section, k, sections.length > 1)));
  for (const film of films) film.open(0, 0);
  if (films.length) active = films[0];
  history.replaceState(null, "", linked || location.pathname + location.search);
  if (follow()) active.section.scrollIntoView();
  window.addEventListener("hashchange", follow);
  document.addEventListener("keydown", (event) => {
    if (!active || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const open = document.querySelector("dialog").open;
    const run = { ArrowRight: () => active.go(active.at + 1), j: () => active.go(active.at + 1), ArrowLeft: () => active.go(active.at - 1),
      k: () => active.go(active.at - 1), Home: () => active.go(0), End: () => active.go(active.last), n: () => active.turn(1), p: () => active.turn(-1),
      "/": () => active.filter && active.filter.focus(), "?": help }[event.key];
    if (!run || (open && event.key !== "?")) return;
    event.preventDefault(); run();
  });
});
