import assert from "node:assert/strict";
import { test } from "node:test";

import { Marks } from "../../annotation/static/annotation/marks.js";

test("the same mark twice takes it away, another one replaces it", () => {
  const marks = new Marks([1, 2, 3]);
  assert.equal(marks.toggle(1, "other"), "other");
  assert.equal(marks.toggle(1, "not_a_face"), "not_a_face");
  assert.equal(marks.toggle(1, "not_a_face"), "");
  assert.equal(marks.belonging, 3);
});

test("an answer names those who do not belong, and why", () => {
  const marks = new Marks([1, 2, 3]);
  marks.toggle(2, "other");
  marks.toggle(3, "cannot_tell");
  assert.deepEqual(marks.content("one_person", "  Ada "), { verdict: "one_person", marks: { 2: "other", 3: "cannot_tell" }, marked_are_one: false, name: "Ada" });
});

test("what was said of a face that has left the question since is said no more", () => {
  const marks = new Marks([1, 2], { marks: { 2: "not_a_face", 3: "other" }, marked_are_one: true });
  assert.equal(marks.belonging, 1);
  assert.deepEqual(marks.content("one_person").marks, { 2: "not_a_face" });
  assert.equal(marks.markedAreOne, false);
});

test("of a pair the verdict and what is no face are told, and nothing about a name", () => {
  const marks = new Marks([1, 2]);
  marks.toggle(2, "not_a_face");
  assert.deepEqual(marks.content("different", "Ada"), { verdict: "different", marks: { 2: "not_a_face" } });
});

test("only somebody else can be one other person", () => {
  const marks = new Marks([1, 2]);
  assert.equal(marks.toggleSplit(), false);
  marks.toggle(1, "other");
  assert.equal(marks.toggleSplit(), true);
  marks.toggle(1, "other");
  assert.equal(marks.markedAreOne, false);
});

test("an answer that was taken back shows what it said", () => {
  const marks = new Marks([1, 2, 3], { verdict: "one_person", marks: { 2: "other" }, marked_are_one: true, name: "" });
  assert.equal(marks.of(2), "other");
  assert.equal(marks.markedAreOne, true);
  assert.equal(marks.belonging, 2);
});
