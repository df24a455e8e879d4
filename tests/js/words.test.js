import assert from "node:assert/strict";
import { test } from "node:test";

import { called, fill, say } from "../../annotation/static/annotation/words.js";

const faces = { one: "{count} face", other: "{count} faces" };

test("values are filled in, and numbers as the language writes them", () => {
  assert.equal(fill("Face {number} of {count}", { number: 3, count: 1234 }, "en-GB"), "Face 3 of 1,234");
  assert.equal(fill("{count}", { count: 1234 }, "de"), "1.234");
  assert.equal(fill("Is this {name}, too?", { name: "Ada {count}" }, "en-GB"), "Is this Ada {count}, too?");
});

test("the form follows the count, and a language that has only one form needs only that", () => {
  assert.equal(fill(faces, { count: 1 }, "en-GB"), "1 face");
  assert.equal(fill(faces, { count: 0 }, "en-GB"), "0 faces");
  assert.equal(fill({ other: "{count} 顔" }, { count: 1 }, "ja"), "1 顔");
  assert.equal(fill({ one: "{count} a", few: "{count} b", other: "{count} c" }, { count: 3 }, "pl"), "3 b");
});

test("what is not known stays as it is, so that nothing is hidden", () => {
  assert.equal(fill("{count} of {all}", { count: 2 }, "en-GB"), "2 of {all}");
  assert.equal(say("no_such_text"), "no_such_text");
  assert.equal(called("happy"), "happy");
});
