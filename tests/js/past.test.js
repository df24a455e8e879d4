import assert from "node:assert/strict";
import { test } from "node:test";

import { LIMIT, Past } from "../../annotation/static/annotation/past.js";

test("the latest answer is taken back first, and the oldest is forgotten beyond the limit", () => {
  const past = new Past();
  for (let index = 0; index < LIMIT + 5; index++) past.push({ clientId: String(index), answerId: null });
  assert.equal(past.length, LIMIT);
  assert.equal(past.pop().clientId, String(LIMIT + 4));
  assert.equal(past.entries[0].clientId, "5");
});

test("an answer learns its number once the server has kept it", () => {
  const past = new Past();
  past.push({ clientId: "x", answerId: null });
  past.kept("x", 7);
  past.kept("unknown", 8);
  assert.equal(past.pop().answerId, 7);
  assert.equal(past.pop(), null);
});

test("an answer that was refused cannot be taken back", () => {
  const past = new Past();
  past.push({ clientId: "x", answerId: null });
  past.forget("x");
  assert.equal(past.length, 0);
});
