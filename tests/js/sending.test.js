import assert from "node:assert/strict";
import { test } from "node:test";

import { persistently, someAtATime, summary } from "../../annotation/static/annotation/sending.js";

test("never more than so many at once, and every item once", async () => {
  let under = 0;
  let most = 0;
  const seen = [];
  await someAtATime([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    most = Math.max(most, ++under);
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(item);
    under--;
  });
  assert.equal(most, 3);
  assert.deepEqual(seen.sort(), [1, 2, 3, 4, 5, 6, 7]);
});

test("a lost line is tried again, a refusal is not", async () => {
  let tries = 0;
  const wait = async () => {};
  const flaky = async () => {
    if (++tries < 3) throw new Error("no line");
    return "here";
  };
  assert.equal(await persistently(flaky, () => false, { wait }), "here");
  tries = 0;
  await assert.rejects(persistently(async () => { tries++; throw new Error("no"); }, () => true, { wait }));
  assert.equal(tries, 1);
  tries = 0;
  await assert.rejects(persistently(async () => { tries++; throw new Error("no"); }, () => false, { wait, times: 4 }));
  assert.equal(tries, 4);
});

test("the summary counts what came of the files", () => {
  const say = (name, values) => `${name} ${JSON.stringify(values)}`;
  assert.equal(summary({}, 3, say), 'files_of {"ended":0,"total":3,"parts":""}');
  const parts = 'files_taken {"count":2}, files_refused {"count":1}';
  assert.equal(summary({ taken: 2, refused: 1 }, 3, say), `files_of_which ${JSON.stringify({ ended: 3, total: 3, parts })}`);
});
