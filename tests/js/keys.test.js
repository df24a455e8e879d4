import assert from "node:assert/strict";
import { test } from "node:test";

import { isField, keyOf, meansFocused } from "../../annotation/static/annotation/keys.js";

const on = (target, event = {}) => ({ key: "n", target, defaultPrevented: false, repeat: false, ...event });
const body = { tagName: "BODY" };

test("a key is read in lower case", () => {
  assert.equal(keyOf(on(body, { key: "N", shiftKey: true })), "n");
  assert.equal(keyOf(on(body, { key: "Enter" })), "Enter");
  assert.equal(keyOf(on(body, { key: " " })), " ");
});

test("a key in a form field belongs to the field", () => {
  for (const field of [{ tagName: "INPUT", type: "text" }, { tagName: "TEXTAREA" }, { tagName: "SELECT" }, { tagName: "DIV", isContentEditable: true }]) {
    assert.equal(keyOf(on(field)), "");
    assert.equal(isField(field), true);
  }
  assert.equal(keyOf(on({ tagName: "INPUT", type: "checkbox" })), "n");
});

test("of a field of digits a letter is the page's", () => {
  const years = { tagName: "INPUT", type: "text", inputMode: "numeric" };
  assert.equal(keyOf(on(years, { key: "C" })), "c");
  for (const event of [{ key: "3" }, { key: "Enter" }, { key: "Backspace" }, { key: " " }, { key: "c", ctrlKey: true }]) assert.equal(keyOf(on(years, event)), "");
});

test("a key with a modifier, held down, or handled before is not the page's", () => {
  for (const event of [{ ctrlKey: true }, { altKey: true }, { metaKey: true }, { repeat: true }, { defaultPrevented: true }, { isComposing: true }, { key: "Enter", shiftKey: true }]) {
    assert.equal(keyOf(on(body, event)), "");
  }
});

test("Space and Enter press the button that has the focus, unless it is one of ours", () => {
  const button = { tagName: "BUTTON" };
  assert.equal(meansFocused(on(button, { key: "Enter" }), () => false), true);
  assert.equal(meansFocused(on(button, { key: "Enter" }), () => true), false);
  assert.equal(meansFocused(on(button, { key: "n" }), () => false), false);
  assert.equal(meansFocused(on(body, { key: " " }), () => false), false);
  assert.equal(meansFocused(on({ tagName: "INPUT", type: "checkbox" }, { key: " " }), () => false), true);
  assert.equal(meansFocused(on({ tagName: "INPUT", type: "checkbox" }, { key: "Enter" }), () => false), false);
});
