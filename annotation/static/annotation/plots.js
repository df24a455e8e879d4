// Plots as SVG, in plain numbers: where each bar, line and point lies. Nothing here touches the page.

export const COLOURS = 12; // that the style sheet has: .c0 to .c11

const LETTER = 6.5; // px that one takes in an axis
const TIGHT = 12; // px between two titles of an axis, at least

const round = (value) => Math.round(value * 10) / 10;

// A round number at or above the value: where an axis may end.
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 2.5, 5, 10].find((each) => each * power >= value * (1 - 1e-9));
  return Number((step * power).toPrecision(12));
}

// A number in few letters: 1200 as 1.2 and k. The letter is the same in every language that reads k and M.
export function short(value) {
  const size = Math.abs(value);
  const [by, letter] = size >= 1e6 ? [1e6, "M"] : size >= 1e4 ? [1e3, "k"] : [1, ""];
  return `${Number((value / by).toPrecision(3))}${letter}`;
}

// Columns side by side, those of several series on one another. `rows` are lists, a number a series; of as many titles as
// have room, at `letters` each.
export function columns(rows, { width = 640, height = 220, left = 48, right = 8, top = 10, bottom = 26, letters = 6 } = {}) {
  const sums = rows.map((values) => values.reduce((sum, value) => sum + value, 0));
  const end = roundUp(Math.max(0, ...sums));
  const step = (width - left - right) / Math.max(rows.length, 1);
  const y = (value) => height - bottom - (value / end) * (height - top - bottom);
  const bars = rows.flatMap((values, row) => {
    let below = 0;
    return values.map((value, series) => {
      const bar = { row, series, value, x: round(left + row * step + step * 0.08), width: round(Math.max(step * 0.84, 1)), y: round(y(below + value)), height: round(round(y(below)) - round(y(below + value))) };
      below += value;
      return bar;
    });
  });
  const every = Math.max(1, Math.ceil((letters + 1.5) * LETTER / step));
  const xs = rows.map((_, row) => ({ row, at: round(left + (row + 0.5) * step) })).filter(({ row }) => row % every === 0);
  return { width, height, left, right: width - right, base: height - bottom, bars: bars.filter((bar) => bar.value > 0), xs, ys: [0, end / 2, end].map((value) => ({ value, at: round(y(value)) })) };
}

// A line a row, each as long as all others and parted by the shares of its numbers. A row of nothing stays empty.
export function shares(rows, { width = 640, line = 26, left = 0, gap = 20 } = {}) {
  const all = width - left;
  const parts = rows.flatMap((values, row) => {
    const sum = values.reduce((total, value) => total + value, 0);
    let before = 0;
    return values.map((value, series) => {
      const part = { row, series, value, percent: sum ? round((100 * value) / sum) : 0, x: round(left + (sum ? (before / sum) * all : 0)), width: round(sum ? (value / sum) * all : 0), y: row * (line + gap) + gap, height: line };
      before += value;
      return part;
    });
  });
  return { width, height: rows.length * (line + gap) + 4, parts: parts.filter((part) => part.value > 0), titles: rows.map((_, row) => ({ row, x: left, y: row * (line + gap) + gap - 6 })) };
}

// A curve over time through what is known, from nothing up; below nothing where more went than came.
export function line(points, { width = 320, height = 110, left = 40, right = 8, top = 8, bottom = 20 } = {}) {
  const known = points.filter(([, value]) => typeof value === "number" && Number.isFinite(value));
  const values = known.map(([, value]) => value);
  const low = Math.min(0, ...values) < 0 ? -roundUp(-Math.min(...values)) : 0;
  const high = Math.max(...values, 0) > 0 || low === 0 ? roundUp(Math.max(...values, 0)) : 0;
  const first = points.at(0)?.[0] ?? 0;
  const span = (points.at(-1)?.[0] ?? 1) - first || 1;
  const x = (at) => round(left + ((at - first) / span) * (width - left - right));
  const y = (value) => round(height - bottom - ((value - low) / (high - low)) * (height - top - bottom));
  return { width, height, left, right: width - right, base: y(0), points: known.map(([at, value]) => ({ at, value, x: x(at), y: y(value) })), ys: [...new Set([low, high, 0])].map((value) => ({ value, at: y(value) })).filter(({ at: place }, number, all) => all.slice(0, number).every((other) => Math.abs(other.at - place) >= TIGHT)), ends: [left, width - right] };
}

export const path = (points) => points.map(({ x, y }, place) => `${place ? "L" : "M"}${x} ${y}`).join(" ");

// ---- the map

export const SIDE = 1000; // of the map, in its own units

// A path a colour: each face a dot that a round pen draws. A hundred thousand elements would be too many for a page.
export function dots(map) {
  const drawn = new Map();
  map.faces.forEach((_, place) => {
    const colour = map.group[place] < 0 ? "alone" : `c${map.group[place] % COLOURS}`;
    const [x, y] = at(map, place);
    const before = drawn.get(colour) ?? [];
    before.push(`M${x} ${y}h0`);
    drawn.set(colour, before);
  });
  return [...drawn].sort(([one], [other]) => (one === "alone" ? -1 : other === "alone" ? 1 : 0)).map(([colour, parts]) => ({ colour, d: parts.join("") }));
}

export const at = (map, place) => [round(map.x[place] * SIDE), round((1 - map.y[place]) * SIDE)];

// The place of the face nearest to a point of the map, or -1 if none is within reach.
export function nearest(map, x, y, reach) {
  let found = -1;
  let best = reach * reach;
  for (let place = 0; place < map.faces.length; place++) {
    const [px, py] = at(map, place);
    const square = (px - x) ** 2 + (py - y) ** 2;
    if (square <= best) [found, best] = [place, square];
  }
  return found;
}

// A view that is `factor` times as wide about its own middle, or about a point that stays where it is; never beyond the map.
export function zoomed(view, factor, about = [view.x + view.side / 2, view.y + view.side / 2]) {
  const side = Math.min(SIDE, Math.max(SIDE / 64, view.side * factor));
  const scale = side / view.side;
  return moved({ x: about[0] - (about[0] - view.x) * scale, y: about[1] - (about[1] - view.y) * scale, side }, 0, 0);
}

export function moved(view, dx, dy) {
  const within = (value) => Math.min(Math.max(value, 0), SIDE - view.side);
  return { x: within(view.x + dx), y: within(view.y + dy), side: view.side };
}

// How long ago, as the name of a text and what belongs into it.
export function ago(seconds) {
  if (seconds < 100) return ["seconds", { count: Math.max(0, Math.round(seconds)) }];
  if (seconds < 5_400) return ["minutes", { count: Math.round(seconds / 60) }];
  return ["hours", { count: Math.round(seconds / 360) / 10 }];
}
