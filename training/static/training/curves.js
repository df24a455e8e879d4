// Learning curves as SVG, in plain numbers: where each point lies. Nothing here touches the page.

const WIDTH = 640;
const HEIGHT = 220;
const EDGE = { left: 56, right: 12, top: 12, bottom: 28 };

const finite = (value) => typeof value === "number" && Number.isFinite(value);

// Round numbers that span the values, about `wanted` of them.
export function ticks(low, high, wanted = 4) {
  if (!(high > low)) return [low];
  const raw = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, place) => Number(((first + place) * step).toPrecision(12)));
}

// One curve of a report an epoch. Epochs without a number of it are left out.
export function curve(history, read, epochs) {
  const points = history.map((report) => [report.epoch + 1, read(report)]).filter(([, value]) => finite(value));
  const values = points.map(([, value]) => value);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const spare = high > low ? (high - low) * 0.08 : Math.abs(high) * 0.1 || 1;
  const [from, to] = [low - spare, high + spare];
  const last = Math.max(epochs, ...points.map(([epoch]) => epoch), 2);
  const x = (epoch) => EDGE.left + ((epoch - 1) / (last - 1)) * (WIDTH - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - ((value - from) / (to - from)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const round = (value) => Math.round(value * 10) / 10;
  return {
    width: WIDTH,
    height: HEIGHT,
    points: points.map(([epoch, value]) => ({ epoch, value, x: round(x(epoch)), y: round(y(value)) })),
    xs: points.length ? ticks(1, last, Math.min(last - 1, 8)).filter(Number.isInteger).map((epoch) => ({ text: String(epoch), at: round(x(epoch)) })) : [],
    ys: points.length ? ticks(from, to).map((value) => ({ text: String(value), at: round(y(value)) })) : [],
    edge: EDGE,
  };
}

export const path = (points) => points.map(({ x, y }, place) => `${place ? "L" : "M"}${x} ${y}`).join(" ");

// The names of the figures of the validation part, in the order in which they first came up.
export const figures = (history) => [...new Set(history.flatMap((report) => Object.keys(report.figures ?? {})))];

// A span of time: the name of a text, and what belongs into it. Null for none.
export function duration(seconds) {
  if (!finite(seconds) || seconds < 0) return null;
  if (seconds < 90) return ["seconds", { count: Math.round(seconds) }];
  if (seconds < 5_400) return ["minutes", { count: Math.round(seconds / 60) }];
  return ["hours", { count: Math.round(seconds / 360) / 10 }];
}
