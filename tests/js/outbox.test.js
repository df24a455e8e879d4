import assert from "node:assert/strict";
import { test } from "node:test";

import { isFinal, Outbox } from "../../annotation/static/annotation/outbox.js";
import { Storage } from "./storage.js";

const an = (id, at = 0) => ({ client_id: id, question: 1, content: { verdict: "same" }, at });

function outbox(send, storage = new Storage()) {
  const told = [];
  const later = [];
  const box = new Outbox({
    storage,
    prefix: "a.",
    send,
    told: { kept: (answer, kept) => told.push(["kept", answer.client_id, kept]), refused: (answer) => told.push(["refused", answer.client_id]), lost: () => told.push(["lost"]) },
    later: (work, wait) => later.push({ work, wait }),
  });
  return { box, told, later, storage };
}

test("an answer stays in the browser until the server has it", async () => {
  let arrive;
  const { box, told, storage } = outbox(() => new Promise((resolve) => (arrive = resolve)));
  const sent = box.put(an("x"));
  assert.equal(storage.length, 1);
  arrive({ id: 7 });
  await sent;
  assert.equal(storage.length, 0);
  assert.deepEqual(told, [["kept", "x", { id: 7 }]]);
});

test("a lost line loses no answer, and waits longer each time", async () => {
  let online = false;
  const sent = [];
  const { box, told, later, storage } = outbox(async (answer) => {
    if (!online) throw new Error("no line");
    sent.push(answer.client_id);
  });
  await box.put(an("x", 1));
  await box.put(an("y", 2));
  assert.equal(storage.length, 2);
  assert.deepEqual(told.map(([what]) => what), ["lost", "lost"]);
  assert.equal(later.length, 1);
  await later[0].work();
  assert.ok(later[1].wait > later[0].wait);
  online = true;
  await box.flush();
  assert.deepEqual(sent, ["x", "y"]);
  assert.equal(storage.length, 0);
});

test("what a former page left is sent by the next one, in its order", async () => {
  const storage = new Storage();
  storage.setItem("a.y", JSON.stringify(an("y", 2)));
  storage.setItem("a.x", JSON.stringify(an("x", 1)));
  storage.setItem("other", "not ours");
  const sent = [];
  await outbox(async (answer) => sent.push(answer.client_id), storage).box.flush();
  assert.deepEqual(sent, ["x", "y"]);
  assert.equal(storage.length, 1);
});

test("a refused answer does not hold up the next", async () => {
  const { box, told, storage } = outbox(async (answer) => {
    if (answer.client_id === "x") throw Object.assign(new Error("settled"), { status: 409 });
  });
  storage.setItem("a.x", JSON.stringify(an("x", 1)));
  await box.put(an("y", 2));
  assert.deepEqual(told.map(([what, id]) => `${what} ${id}`), ["refused x", "kept y"]);
});

test("an answer that has not left can be taken back, one under way cannot", async () => {
  let arrive;
  const { box } = outbox(() => new Promise((resolve) => (arrive = resolve)));
  const sent = box.put(an("x", 1));
  box.put(an("y", 2));
  assert.equal(box.take("y"), true);
  assert.equal(box.take("x"), false);
  assert.equal(box.take("z"), false);
  arrive({});
  await sent;
  assert.equal(box.waiting.length, 0);
});

test("only what sending again cannot mend is final", () => {
  for (const status of [400, 404, 409]) assert.equal(isFinal({ status }), true);
  for (const status of [undefined, 401, 403, 429, 500, 503]) assert.equal(isFinal({ status }), false);
});

test("an answer for which the browser has no room waits in the page", async () => {
  let online = false;
  const storage = Object.assign(new Storage(), {
    setItem() {
      throw new Error("QuotaExceededError");
    },
  });
  const { box, told } = outbox(async () => {
    if (!online) throw new Error("no line");
    return { id: 7 };
  }, storage);
  await box.put(an("x", 1));
  await box.put(an("y", 2));
  assert.equal(box.waiting.length, 2);
  assert.equal(box.take("y"), true);
  online = true;
  await box.flush();
  assert.deepEqual(told.at(-1), ["kept", "x", { id: 7 }]);
  assert.equal(box.waiting.length, 0);
});

test("an answer that may have been kept unheard is taken back where it is kept", async () => {
  let online = false;
  const sent = [];
  const { box, storage } = outbox(async (answer) => {
    sent.push([answer.client_id, Boolean(answer.taken)]);
    if (!online) throw new Error("the receipt was lost");
    return { id: 7 };
  });
  await box.put(an("x", 1));
  assert.equal(box.take("x"), true);
  assert.equal(storage.length, 1);
  online = true;
  await box.put(an("y", 2)); // the better answer, after the one before it was taken back
  assert.deepEqual(sent, [["x", false], ["x", true], ["y", false]]);
  assert.equal(storage.length, 0);
});

test("what is taken back in another tab while it is sent is sent once more", async () => {
  const storage = new Storage();
  const sent = [];
  let arrive;
  const { box } = outbox((answer) => {
    sent.push(Boolean(answer.taken));
    return answer.taken ? { id: 7 } : new Promise((resolve) => (arrive = resolve));
  }, storage);
  const { box: other } = outbox(async () => ({ id: 7 }), storage);
  const flown = box.put(an("x", 1));
  assert.equal(other.take("x"), true);
  arrive({ id: 7 });
  await flown;
  assert.deepEqual(sent, [false, true]);
  assert.equal(storage.length, 0);
});
