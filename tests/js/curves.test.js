import assert from "node:assert/strict";
import { test } from "node:test";

import { curve, duration, figures, path, ticks } from "../../training/static/training/curves.js";

const HISTORY = [
  { epoch: 0, loss: 2, figures: { accuracy: 0.5 } },
  { epoch: 1, loss: 1, figures: { accuracy: 0.7, macro_f1: 0.6 } },
  { epoch: 2, loss: null, figures: { accuracy: 0.8 } },
];

test("ticks are round numbers within the values", () => {
  assert.deepEqual(ticks(0, 1), [0, 0.5, 1]);
  assert.deepEqual(ticks(0.93, 2.07), [1, 1.5, 2]);
  assert.deepEqual(ticks(3, 3), [3]);
});

test("a curve falls where the loss falls, and leaves out what is no number", () => {
  const { points } = curve(HISTORY, (report) => report.loss, 8);
  assert.deepEqual(points.map(({ epoch, value }) => [epoch, value]), [[1, 2], [2, 1]]);
  assert.ok(points[0].x < points[1].x);
  assert.ok(points[0].y < points[1].y); // downwards in SVG
  assert.ok(path(points).startsWith(`M${points[0].x} ${points[0].y} L`));
});

test("a curve leaves room for the epochs to come", () => {
  const { points, width } = curve(HISTORY, (report) => report.loss, 8);
  assert.ok(points.at(-1).x < width / 3);
});

test("one report, equal ones and none have their place, too", () => {
  for (const values of [[], [0], [3, 3]]) {
    const { points } = curve(values.map((loss, epoch) => ({ epoch, loss })), (report) => report.loss, 1);
    assert.ok(points.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)));
    assert.equal(points.length, values.length);
  }
});

test("figures are named once, as they come up", () => {
  assert.deepEqual(figures(HISTORY), ["accuracy", "macro_f1"]);
});

test("time left is told in a unit that fits", () => {
  assert.deepEqual([42, 600, 9_000, null].map(duration), [["seconds", { count: 42 }], ["minutes", { count: 10 }], ["hours", { count: 2.5 }], null]);
});
