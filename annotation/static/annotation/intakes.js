// The bars of intakes, as the server draws them the first time.

import { element, number } from "./dom.js";

export const isUnderWay = (intake) => intake.state === "waiting" || intake.state === "running";

// What came of an intake, in words; the link to its refusals apart.
export function outcome(intake) {
  const parts = [[intake.taken, "taken"], [intake.copies, "copies"], [intake.known, "known"], [intake.skipped, "skipped"]];
  return parts.filter(([count], index) => count || index === 0).map(([count, word]) => `${number(count)} ${word}`).join(", ");
}

export function drawIntakes(root, intakes) {
  root.replaceChildren(...intakes.map(draw));
}

function draw(intake) {
  const bar = { "aria-label": intake.source_name };
  if (intake.state === "done") Object.assign(bar, { value: 1, max: 1 });
  else if (intake.state === "failed") Object.assign(bar, { value: 0, max: 1 });
  else if (intake.total) Object.assign(bar, { value: intake.seen, max: intake.total });
  const told = element("span", { class: "number" }, outcome(intake));
  if (intake.refused) told.append(", ", element("a", { href: `/sources/${intake.source}/refusals` }, `${number(intake.refused)} refused`));
  return element(
    "div",
    { class: `bar intake ${intake.state}` },
    element("span", {}, element("a", { href: `/sources/${intake.source}/` }, intake.source_name), " ", element("span", { class: "muted" }, `${intake.kind}, ${intake.state}`)),
    element("progress", bar),
    told,
    intake.error ? element("p", { class: "error" }, intake.error) : null,
  );
}
