// The bars of intakes, as the server draws them the first time.

import { element } from "./dom.js";
import { say } from "./words.js";

export const isUnderWay = (intake) => intake.state === "waiting" || intake.state === "running";

// What came of an intake, in words; the link to its refusals apart.
export function outcome(intake) {
  const counted = ["taken", "copies", "known", "skipped"].filter((name) => intake[name] || name === "taken");
  return counted.map((name) => say(`intake_${name}`, { count: intake[name] })).join(", ");
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
  if (intake.refused) told.append(", ", element("a", { href: `/sources/${intake.source}/refusals` }, say("intake_refused", { count: intake.refused })));
  return element(
    "div",
    { class: `bar intake ${intake.state}` },
    element("span", {}, element("a", { href: `/sources/${intake.source}/` }, intake.source_name), " ", element("span", { class: "muted" }, `${say(`intake_${intake.kind}`)}, ${say(`intake_${intake.state}`)}`)),
    element("progress", bar),
    told,
    intake.error ? element("p", { class: "error" }, intake.error) : null,
  );
}
