import assert from "node:assert/strict";
import { test } from "node:test";

import { SIDE, ago, at, columns, dots, line, moved, nearest, path, roundUp, shares, short, zoomed } from "../../annotation/static/annotation/plots.js";

test("an axis ends at a round number, not far above what it shows", () => {
  assert.deepEqual([0, 1, 3, 7, 12, 260, 0.03].map(roundUp), [1, 1, 5, 10, 20, 500, 0.05]);
  assert.deepEqual([950, 12_345, 2_000_000, 0.25, -3].map(short), ["950", "12.3k", "2M", "0.25", "-3"]);
});

test("columns stand on one another and none is higher than the plot", () => {
  const { bars, base, ys } = columns([[2, 2], [0, 1]]);
  assert.equal(bars.length, 3); // nothing is drawn for nothing
  const [low, high, other] = bars;
  assert.ok(Math.abs(low.y + low.height - base) < 0.01);
  assert.ok(Math.abs(high.y + high.height - low.y) < 0.01);
  assert.ok(other.x > low.x + low.width);
  assert.deepEqual(ys.map(({ value }) => value), [0, 2.5, 5]);
  assert.ok(bars.every((bar) => bar.y >= 0 && bar.height > 0));
});

test("many columns have a few titles", () => {
  const many = Array.from({ length: 100 }, () => [1]);
  assert.ok(columns(many).xs.length <= 12);
  assert.ok(columns(many, { width: 300 }).xs.length <= 5);
  assert.equal(columns([[1], [2], [3]], { width: 300 }).xs.length, 3);
  assert.deepEqual(columns([]).bars, []);
});

test("shares fill a line, whatever the sum, and nothing stays empty", () => {
  const { parts, width, titles } = shares([[1, 3], [0, 0], [5, 5]]);
  assert.equal(titles.length, 3);
  for (const row of [0, 2]) assert.equal(parts.filter((part) => part.row === row).reduce((sum, part) => sum + part.width, 0), width);
  assert.deepEqual(parts.filter((part) => part.row === 0).map((part) => part.percent), [25, 75]);
  assert.equal(parts.filter((part) => part.row === 1).length, 0);
});

test("a curve starts at nothing, falls below it where more went than came, and leaves out what is unknown", () => {
  const { points, base, ys } = line([[0, 10], [60, null], [120, -10]]);
  assert.equal(points.length, 2);
  assert.ok(points[0].y < base && points[1].y > base);
  assert.deepEqual(ys.map(({ value }) => value).sort((one, other) => one - other), [-10, 0, 10]);
  assert.deepEqual(line([[0, 1], [1, -1000]]).ys.map(({ value }) => value), [-1000, 1]); // nothing has no room beside 1
  assert.ok(path(points).startsWith(`M${points[0].x} ${points[0].y} L`));
  for (const empty of [[], [[0, null]], [[0, 0], [1, 0]]]) assert.ok(line(empty).points.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)));
});

const MAP = { faces: [7, 8, 9], x: [0, 0.5, 1], y: [0, 0.5, 1], group: [0, 13, -1] };

test("the map has a path a colour, those who are in no group first", () => {
  assert.deepEqual(dots(MAP).map(({ colour }) => colour), ["alone", "c0", "c1"]);
  assert.equal(dots(MAP)[1].d, `M0 ${SIDE}h0`); // upwards in the data is upwards on the page
});

test("a click finds the nearest face within reach", () => {
  assert.deepEqual(at(MAP, 1), [500, 500]);
  assert.equal(nearest(MAP, 505, 498, 20), 1);
  assert.equal(nearest(MAP, 550, 550, 20), -1);
});

test("one looks closer about the middle, and never beyond the map", () => {
  const all = { x: 0, y: 0, side: SIDE };
  assert.deepEqual(zoomed(all, 0.5), { x: 250, y: 250, side: 500 });
  assert.deepEqual(zoomed(all, 2), all);
  assert.deepEqual(zoomed(all, 0.5, [0, 0]), { x: 0, y: 0, side: 500 });
  assert.deepEqual(moved({ x: 250, y: 250, side: 500 }, 900, -900), { x: 500, y: 0, side: 500 });
});

test("how long ago is told in a unit that fits", () => {
  assert.deepEqual([7, 240, 9_000].map(ago), [["seconds", { count: 7 }], ["minutes", { count: 4 }], ["hours", { count: 2.5 }]]);
});
