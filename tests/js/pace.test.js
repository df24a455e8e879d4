import assert from "node:assert/strict";
import { test } from "node:test";

import { GAP, inWords, Pace, SITTING } from "../../annotation/static/annotation/pace.js";

const answering = (count, every, from = 0) => {
  const pace = new Pace();
  for (let index = 0; index < count; index++) pace.answered(from + index * every);
  return pace;
};

test("a pace needs a handful of answers", () => {
  assert.equal(answering(4, 2_000).perMinute(8_000), null);
  assert.equal(Math.round(answering(31, 2_000).perMinute(60_000)), 30);
});

test("only the last quarter of an hour counts", () => {
  const pace = answering(100, 30_000); // two a minute
  const last = 99 * 30_000;
  for (let index = 1; index <= 450; index++) pace.answered(last + index * 2_000);
  assert.equal(Math.round(pace.perMinute(last + 900_000)), 30);
});

test("what is left takes as long as this pace says", () => {
  assert.equal(Math.round(answering(31, 2_000).minutesLeft(300, 60_000)), 10);
  assert.equal(answering(2, 2_000).minutesLeft(300, 4_000), null);
  assert.equal(answering(31, 2_000).minutesLeft(0, 60_000), null); // nothing is left to wait for
});

test("after a break the pace and the sitting begin anew", () => {
  const pace = answering(31, 2_000);
  pace.answered(60_000 + GAP + 1);
  assert.equal(pace.perMinute(60_000 + GAP + 2), null);
  assert.equal(pace.wantsBreak(60_000 + GAP + 2), false);
});

test("a break is suggested after fifty minutes of answering, not of an open page", () => {
  const pace = answering(SITTING / 60_000 + 1, 60_000);
  assert.equal(pace.wantsBreak(SITTING), true);
  assert.equal(pace.wantsBreak(SITTING + GAP + 1), false);
});

test("an answer that is taken back does not count", () => {
  const pace = answering(5, 2_000);
  pace.takenBack();
  assert.equal(pace.perMinute(8_000), null);
});

test("durations are told as people would", () => {
  const told = [0.4, 12.3, 95, 660].map(inWords);
  assert.deepEqual(told, [["less_than_a_minute", {}], ["minutes", { count: 12 }], ["hours", { count: 1.5 }], ["hours", { count: 11 }]]);
});
