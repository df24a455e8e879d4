import assert from "node:assert/strict";
import { test } from "node:test";

import { columnsOf, columnsThatFit, moved, movedAmong } from "../../annotation/static/annotation/moves.js";

test("arrows move within the grid and stop at its edges", () => {
  // 0 1 2 3
  // 4 5 6 7
  // 8 9
  const from = (index, key) => moved(index, key, 10, 4);
  assert.equal(from(0, "ArrowRight"), 1);
  assert.equal(from(3, "ArrowRight"), 4);
  assert.equal(from(9, "ArrowRight"), null);
  assert.equal(from(0, "ArrowLeft"), null);
  assert.equal(from(1, "ArrowDown"), 5);
  assert.equal(from(6, "ArrowDown"), null);
  assert.equal(from(2, "ArrowUp"), null);
  assert.equal(from(9, "ArrowUp"), 5);
  assert.equal(from(5, "Home"), 0);
  assert.equal(from(5, "End"), 9);
  assert.equal(from(5, "x"), null);
});

test("the first row is as long as elements stand at one height", () => {
  assert.equal(columnsOf([]), 1);
  assert.equal(columnsOf([{ offsetTop: 0 }, { offsetTop: 0 }, { offsetTop: 90 }]), 2);
  assert.equal(columnsOf([{ offsetTop: 5 }, { offsetTop: 5 }]), 2);
});

test("squares are as large as the space allows, and never overflow it in width", () => {
  for (let count = 1; count <= 24; count++) {
    for (const [width, height] of [[330, 300], [900, 520], [1800, 900], [3000, 1800]]) {
      const gap = 8;
      const columns = columnsThatFit(count, width, height, { gap });
      const side = (width + gap) / columns - gap;
      assert.ok(side >= 72 || columns === 1, `${count} in ${width}×${height}: ${side}`);
      const fits = (n) => Math.ceil(count / n) * ((width + gap) / n - gap + gap) - gap <= height;
      if (columns > 1 && (width + gap) / (columns - 1) - gap <= 260) assert.ok(!fits(columns - 1) || columns === 1, `${count} in ${width}×${height} could be larger`);
    }
  }
});

test("of two grids beside each other up and down stay in the column, and on a phone lead from one grid to the other", () => {
  const boxes = (...places) => places.map(([left, top]) => ({ left, top, width: 10 }));
  const beside = boxes([0, 0], [30, 2], [40, 2], [30, 12]); // one face, and three in two rows
  assert.equal(movedAmong(beside, 1, "ArrowDown"), 3);
  assert.equal(movedAmong(beside, 3, "ArrowUp"), 1);
  assert.equal(movedAmong(beside, 0, "ArrowDown"), null);
  assert.equal(movedAmong(beside, 2, "ArrowDown"), null);
  assert.equal(movedAmong(beside, 0, "ArrowRight"), 1);
  assert.equal(movedAmong(beside, 0, "End"), 3);
  const below = boxes([0, 0], [10, 0], [0, 30], [0, 40]);
  assert.equal(movedAmong(below, 0, "ArrowDown"), 2);
  assert.equal(movedAmong(below, 2, "ArrowUp"), 0);
});
