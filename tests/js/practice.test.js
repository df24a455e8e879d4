import assert from "node:assert/strict";
import { test } from "node:test";

import { judge, partOf, Round } from "../../annotation/static/annotation/practice.js";

const cluster = { verdicts: ["one_person"], marks: { 3: ["other"] } };

test("a grid is right if the right faces are marked, and as the right thing", () => {
  assert.equal(judge(cluster, { verdict: "one_person", marks: { 3: "other" } }).right, true);
  assert.deepEqual(judge(cluster, { verdict: "one_person", marks: {} }), { right: false, missed: [3], needless: [], otherwise: [] });
  assert.deepEqual(judge(cluster, { verdict: "one_person", marks: { 3: "not_a_face", 5: "other" } }), { right: false, missed: [], needless: [5], otherwise: [3] });
  assert.equal(judge(cluster, { verdict: "cannot_tell" }).right, false);
});

test("one of several words may be right", () => {
  const grid = { verdicts: ["marked"], marks: { 2: ["other", "sad"] } };
  assert.equal(judge(grid, { verdict: "marked", marks: { 2: "sad" } }).right, true);
  assert.equal(judge(grid, { verdict: "marked", marks: { 2: "other" } }).right, true);
});

test("years are right within a wide stretch, values if they are the one", () => {
  const years = { verdicts: ["value"], years: [55, 95] };
  assert.equal(judge(years, { verdict: "value", value: 60 }).right, true);
  assert.equal(judge(years, { verdict: "value", value: 20 }).right, false);
  const value = { verdicts: ["value"], values: ["happy"] };
  assert.equal(judge(value, { verdict: "value", value: "happy" }).right, true);
  assert.equal(judge(value, { verdict: "value", value: "sad" }).right, false);
  assert.equal(judge({ verdicts: ["not_a_face"] }, { verdict: "not_a_face" }).right, true);
});

test("a round goes through its examples once and counts what was right", () => {
  const round = new Round("pair", [{ expected: { verdicts: ["same"] } }, { expected: { verdicts: ["different"] } }]);
  assert.equal(round.answer({ verdict: "same" }).right, true);
  assert.ok(round.next());
  assert.equal(round.answer({ verdict: "same" }).right, false);
  assert.equal(round.next(), null);
  assert.equal(round.right, 1);
});

test("guessing years is practised apart from other single faces", () => {
  assert.equal(partOf({ kind: "value", values: [] }), "years");
  assert.equal(partOf({ kind: "value", values: ["sad"] }), "value");
  assert.equal(partOf({ kind: "pair", values: [] }), "pair");
});
