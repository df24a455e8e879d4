// The dashboard: draws each plot from the table that is its text alternative, and asks for newer figures now and then.

import { element, number } from "./dom.js";
import { start } from "./face_map.js";
import { ago, columns, line, path, shares, short } from "./plots.js";
import { say } from "./words.js";

const NARROWEST = 240; // px
const LETTER = 16; // px, of the page that the plots are measured for
const EVERY = 5_000; // ms; most of these are answered by "as it was"
const root = document.getElementById("dashboard");
const told = root.querySelector("[data-at]");
let at = told.dataset.at;
let etag = null;
let lost = false;

// ---- plots

// What the table of a figure says: names of the series, titles of the rows, numbers.
function read(figure) {
  const table = figure.querySelector("table");
  const names = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent.trim());
  const rows = [...table.tBodies[0].rows].map((row) => ({
    title: row.cells[0].textContent.trim(),
    at: Number(row.cells[0].dataset.v),
    values: [...row.cells].slice(1).map((cell) => (cell.dataset.v === "" ? null : Number(cell.dataset.v))),
  }));
  return { title: figure.querySelector("figcaption b").textContent.trim(), names, rows };
}

const text = (x, y, anchor, words) => element("text", { x, y, "text-anchor": anchor }, words);
const rule = (x1, y1, x2, y2) => element("line", { x1, y1, x2, y2, class: "rule" });
const picture = (of, title, ...children) => element("svg", { viewBox: `0 0 ${of.width} ${of.height}`, role: "img", "aria-label": say("plot_of", { title }) }, ...children);
const legend = (names) => (names.length > 1 ? element("ul", { class: "legend" }, ...names.map((name, series) => element("li", {}, element("i", { class: `c${series}` }), name))) : null);

const PLOTS = {
  columns({ title, names, rows }, width) {
    const letters = Math.max(...rows.map((row) => row.title.length));
    const of = columns(rows.map((row) => row.values), { width, height: names.length > 1 ? 260 : 200, letters });
    const named = (bar) => (names.length > 1 ? say("bar_of", { row: rows[bar.row].title, column: names[bar.series], count: bar.value }) : say("bar", { row: rows[bar.row].title, count: bar.value }));
    return [
      picture(
        of,
        title,
        ...of.ys.map(({ at: y }) => rule(of.left, y, of.right, y)),
        ...of.ys.map(({ value, at: y }) => text(of.left - 6, y + 4, "end", short(value))),
        ...of.bars.map((bar) => element("rect", { x: bar.x, y: bar.y, width: bar.width, height: bar.height, class: `c${bar.series}` }, element("title", {}, named(bar)))),
        ...of.xs.map(({ row, at: x }) => text(x, of.base + 18, "middle", rows[row].title)),
      ),
      legend(names),
    ];
  },
  shares({ title, names, rows }, width) {
    const of = shares(rows.map((row) => row.values), { width });
    const named = (part) => say("share", { row: rows[part.row].title, column: names[part.series], count: part.value, percent: String(part.percent) });
    const sum = (row) => rows[row].values.reduce((total, value) => total + value, 0);
    return [
      picture(
        of,
        title,
        ...of.titles.map(({ row, x, y }) => text(x, y, "start", `${rows[row].title} · ${number(sum(row))}`)),
        ...of.parts.map((part) => element("rect", { x: part.x, y: part.y, width: part.width, height: part.height, class: `c${part.series}` }, element("title", {}, named(part)))),
      ),
      legend(names),
    ];
  },
  lines({ names, rows }) {
    const moves = names.map((_, series) => rows.some((row) => row.values[series]));
    return names.map((name, series) => {
      if (!moves[series] && moves.includes(true)) return null; // where nothing came or went there is nothing to see
      const of = line(rows.map((row) => [row.at, row.values[series]]));
      const latest = of.points.at(-1);
      if (!latest) return null;
      return element(
        "figure",
        { class: "curve small-curve" },
        element("figcaption", {}, element("b", {}, name), " ", element("span", { class: "muted" }, short(latest.value))),
        picture(
          of,
          say("per_hour", { title: name, value: short(latest.value) }),
          ...of.ys.map(({ at: y }) => rule(of.left, y, of.right, y)),
          ...of.ys.map(({ value, at: y }) => text(of.left - 5, y + 4, "end", short(value))),
          element("path", { d: path(of.points), class: "curve-line" }),
          element("circle", { cx: latest.x, cy: latest.y, r: 3 }),
          text(of.ends[0], of.height - 4, "start", rows[0].title),
          text(of.ends[1], of.height - 4, "end", rows.at(-1).title),
        ),
      );
    });
  },
};

// As wide as its place in letters, which are as large on a phone as on a wall.
function draw(within) {
  const letter = parseFloat(getComputedStyle(document.documentElement).fontSize) / LETTER;
  for (const figure of within.querySelectorAll("[data-plot]")) {
    const place = figure.querySelector("[data-drawn]");
    const drawn = PLOTS[figure.dataset.plot](read(figure), Math.max(place.clientWidth / letter, NARROWEST)).filter((each) => each !== null);
    place.replaceChildren(...drawn);
  }
}

let width = root.clientWidth;
new ResizeObserver(() => {
  if (root.clientWidth === width) return;
  width = root.clientWidth;
  draw(root);
}).observe(root);

// ---- live

function tellAge() {
  if (!at || lost) return;
  const [unit, values] = ago((Date.now() - Date.parse(at)) / 1000);
  told.textContent = say("counted", { time: say(unit, values) });
}

// What somebody reads, or is about to press, stays as it is until they have moved on; open tables stay open.
function replace(place, html) {
  if (place.dataset.html === html || place.contains(document.activeElement)) return;
  const open = [...place.querySelectorAll("details")].map((each) => each.open);
  place.innerHTML = html;
  place.dataset.html = html;
  [...place.querySelectorAll("details")].forEach((each, number) => (each.open = open[number] ?? false));
  draw(place);
}

async function look() {
  if (document.hidden) return;
  let answer;
  try {
    const response = await fetch(root.dataset.figures, { headers: { Accept: "application/json", ...(etag ? { "If-None-Match": etag } : {}) } });
    if (response.status === 304) answer = null;
    else if (response.ok) [answer, etag] = [await response.json(), response.headers.get("etag")];
    else throw new Error(String(response.status));
  } catch {
    lost = true;
    told.textContent = say("lost");
    return;
  }
  lost = false;
  if (answer) {
    at = answer.at;
    for (const [name, html] of Object.entries(answer.sections)) replace(root.querySelector(`[data-section="${name}"]`), html);
    if (answer.map !== root.dataset.mapVersion) {
      root.dataset.mapVersion = answer.map;
      start(root);
    }
  }
  tellAge();
}

draw(root);
start(root);
tellAge();
setInterval(look, EVERY);
document.addEventListener("visibilitychange", look);
