// The page of a training: asks how it goes every two seconds while it is under way, and draws its curves.

import { element } from "../annotation/dom.js";
import { ask } from "../annotation/server.js";
import { curve, duration, figures, path } from "./curves.js";

const EVERY = 2_000;
const page = document.getElementById("training");
const told = document.getElementById("training-told");
const bar = document.getElementById("training-bar");
const curves = document.getElementById("curves");
const none = document.getElementById("no-curve");

function drawn(title, of) {
  const { left, right, top, bottom } = of.edge;
  const line = (x1, y1, x2, y2) => element("line", { x1, y1, x2, y2, class: "rule" });
  const text = (x, y, anchor, words) => element("text", { x, y, "text-anchor": anchor }, words);
  const latest = of.points.at(-1);
  return element(
    "figure",
    { class: "curve" },
    element("figcaption", {}, element("b", {}, title), ` ${Number(latest.value.toPrecision(4))} after epoch ${latest.epoch}`),
    element(
      "svg",
      { viewBox: `0 0 ${of.width} ${of.height}`, role: "img", "aria-label": `${title} by epoch: ${of.points.map((each) => Number(each.value.toPrecision(4))).join(", ")}` },
      ...of.ys.map(({ at }) => line(left, at, of.width - right, at)),
      ...of.ys.map(({ at, text: words }) => text(left - 6, at + 4, "end", words)),
      ...of.xs.map(({ at, text: words }) => text(at, of.height - bottom + 18, "middle", words)),
      element("path", { d: path(of.points), class: "curve-line" }),
      ...of.points.map(({ x, y, epoch, value }) => element("circle", { cx: x, cy: y, r: 3.5 }, element("title", {}, `epoch ${epoch}: ${value}`))),
      line(left, top, left, of.height - bottom),
    ),
  );
}

function show(run) {
  const names = figures(run.history);
  const all = [["Loss", (report) => report.loss], ...names.map((name) => [`Validation: ${name.replaceAll("_", " ")}`, (report) => report.figures[name]])];
  const shown = all.map(([title, read]) => [title, curve(run.history, read, run.epochs)]).filter(([, of]) => of.points.length);
  curves.replaceChildren(...shown.map(([title, of]) => drawn(title, of)));
  none.hidden = shown.length > 0;
  const at = run.progress;
  if (!bar || !run.under_way) return;
  if (at.steps) {
    bar.max = at.steps;
    bar.value = at.step;
    const left = duration(at.seconds_left);
    told.textContent = `Epoch ${at.epoch} of ${run.epochs}, step ${at.step} of ${at.steps}; loss ${Number(at.loss.toPrecision(4))}; ${Math.round(at.images_per_second)} images a second${left ? `; about ${left} left` : ""}.`;
  } else told.textContent = run.state === "waiting" ? "It waits for a worker." : "It reads the releases.";
}

async function look() {
  let run;
  try {
    run = await ask(page.dataset.progress);
  } catch {
    if (told) told.textContent = "The line is lost. It goes on once it is back.";
    setTimeout(look, EVERY);
    return;
  }
  if (run.state !== page.dataset.state) {
    location.reload();
    return;
  }
  show(run);
  if (run.under_way) setTimeout(look, EVERY);
}

look();
