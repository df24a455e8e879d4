import assert from "node:assert/strict";
import { test } from "node:test";

import { pictureOf, plainName, scaleOf, shares, span, speakers } from "../../annotation/static/annotation/predicted.js";

test("the likeliest value comes first", () => {
  const told = shares({ angry: 0.1, happy: 0.876, sad: 0.024 });
  assert.deepEqual(told.map((each) => each.value), ["happy", "angry", "sad"]);
  assert.deepEqual(told.map((each) => each.percent), [88, 10, 2]);
});

test("an interval of years has its place among all years, and never leaves it", () => {
  assert.deepEqual(span({ mean: 29, low: 0, high: 58 }, 116), { start: 0, width: 50, mean: 25 });
  const edge = span({ mean: 116.4, low: 100, high: 130 }, 116);
  assert.equal(edge.start + edge.width, 100);
  assert.equal(edge.mean, 100);
});

test("a model that says two things is named once", () => {
  assert.deepEqual(speakers({ gender: { name: "b" }, emotion: { name: "a" }, real_age: { name: "b" } }), ["a", "b"]);
});

test("of what is dropped or pasted the first picture counts", () => {
  const files = [{ type: "text/plain" }, { type: "image/png", name: "one" }, { type: "image/jpeg", name: "two" }];
  assert.equal(pictureOf(files).name, "one");
  assert.equal(pictureOf([{ type: "" }]), null);
  assert.equal(pictureOf(undefined), null);
});

test("a name goes onto a command line only if it is a plain one", () => {
  assert.equal(plainName("me-2.jpg"), "me-2.jpg");
  for (const odd of ["a b.jpg", "$(rm).jpg", "\"x", "", undefined]) assert.equal(plainName(odd), "photo.jpg");
});

test("what is drawn is as large on a small photo as on a large one", () => {
  assert.equal(scaleOf(4000, 3000), 10 * scaleOf(300, 400));
});
