// Keeps the figures of the home page up to date: often while something is under way, now and then otherwise.

import { element, number } from "./dom.js";
import { drawIntakes } from "./intakes.js";
import { ask } from "./server.js";
import { say } from "./words.js";

const BUSY = 2_000; // ms
const IDLE = 20_000;

const root = document.querySelector("[data-standing]");

function draw(standing) {
  for (const [name, count] of Object.entries(standing.counts)) {
    for (const place of root.querySelectorAll(`[data-count="${name}"]`)) place.textContent = number(count);
  }
  root.querySelector("[data-idle]").hidden = !standing.done;
  const steps = root.querySelector("[data-steps]");
  steps.hidden = standing.done;
  steps.replaceChildren(
    ...standing.steps.map((step) =>
      element("label", { class: "bar" }, element("span", {}, step.name), element("progress", { value: step.done, max: step.total || 1 }), element("span", { class: "number" }, say("so_many_of", { done: step.done, total: step.total ?? "?" }))),
    ),
  );
  drawIntakes(root.querySelector("[data-intakes]"), standing.intakes);
}

async function look() {
  let wait = IDLE;
  try {
    if (!document.hidden) {
      const standing = await ask(root.dataset.standing);
      draw(standing);
      if (!standing.done) wait = BUSY;
    }
  } catch {
    // The next look may find the server again.
  }
  setTimeout(look, wait);
}

setTimeout(look, root.dataset.done === "true" ? IDLE : BUSY);
