import assert from "node:assert/strict";
import { test } from "node:test";

import { Tabs } from "../../annotation/static/annotation/tabs.js";
import { Storage } from "./storage.js";

const some = (storage = new Storage()) => {
  const clock = { at: 0 };
  const tab = (own) => new Tabs({ storage, prefix: "t.7.", own, now: () => clock.at });
  return { storage, clock, tab };
};

test("what another tab shows is known, until it shows something else or is gone", () => {
  const { tab } = some();
  const [one, other] = [tab("a"), tab("b")];
  one.tell(5);
  other.tell(null);
  assert.equal(other.shows(5), true);
  assert.equal(one.shows(5), false);
  one.tell(6);
  assert.equal(other.shows(5), false);
  assert.equal(one.others.length, 1);
  other.leave();
  assert.equal(one.others.length, 0);
});

test("a tab that was killed is forgotten, and its line goes", () => {
  const { storage, clock, tab } = some();
  tab("a").tell(5);
  clock.at = 200_000;
  assert.equal(tab("b").shows(5), false);
  assert.equal(tab("b").within(300_000).length, 1); // it may only be out of sight
  clock.at = 700_000;
  assert.equal(tab("b").within(300_000).length, 0);
  assert.equal(storage.length, 0);
});

test("another person's tabs and other lines are none of ours", () => {
  const { storage, tab } = some();
  storage.setItem("t.8.x", JSON.stringify({ question: 5, at: 0 }));
  storage.setItem("dager.answer.7.y", "{}");
  assert.deepEqual(tab("a").others, []);
});

test("a browser without room is no failure", () => {
  const { storage, tab } = some();
  tab("a").tell(4);
  storage.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  tab("a").tell(5);
  assert.equal(tab("b").shows(5), false);
  assert.equal(tab("b").shows(4), false); // nor does it say what it showed before
});
