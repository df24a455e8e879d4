// The page of a training: asks how it goes every two seconds while it is under way, and draws its curves.

import { element } from "../annotation/dom.js";
import { ask } from "../annotation/server.js";
import { say } from "../annotation/words.js";
import { curve, duration, figures, path } from "./curves.js";

const EVERY = 2_000;
const page = document.getElementById("training");
const told = document.getElementById("training-told");
const bar = document.getElementById("training-bar");
const curves = document.getElementById("curves");
const none = document.getElementById("no-curve");

const short = (value) => String(Number(value.toPrecision(4)));

function drawn(title, of) {
  const { left, right, top, bottom } = of.edge;
  const line = (x1, y1, x2, y2) => element("line", { x1, y1, x2, y2, class: "rule" });
  const text = (x, y, anchor, words) => element("text", { x, y, "text-anchor": anchor }, words);
  const latest = of.points.at(-1);
  return element(
    "figure",
    { class: "curve" },
    element("figcaption", {}, element("b", {}, title), " ", say("after_epoch", { value: short(latest.value), epoch: latest.epoch })),
    element(
      "svg",
      { viewBox: `0 0 ${of.width} ${of.height}`, role: "img", "aria-label": say("by_epoch", { title, values: of.points.map((each) => short(each.value)).join(", ") }) },
      ...of.ys.map(({ at }) => line(left, at, of.width - right, at)),
      ...of.ys.map(({ at, text: words }) => text(left - 6, at + 4, "end", words)),
      ...of.xs.map(({ at, text: words }) => text(at, of.height - bottom + 18, "middle", words)),
      element("path", { d: path(of.points), class: "curve-line" }),
      ...of.points.map(({ x, y, epoch, value }) => element("circle", { cx: x, cy: y, r: 3.5 }, element("title", {}, say("epoch", { epoch, value: String(value) })))),
      line(left, top, left, of.height - bottom),
    ),
  );
}

function show(run) {
  const names = figures(run.history);
  const all = [[say("loss"), (report) => report.loss], ...names.map((name) => [say("validation", { name: name.replaceAll("_", " ") }), (report) => report.figures[name]])];
  const shown = all.map(([title, read]) => [title, curve(run.history, read, run.epochs)]).filter(([, of]) => of.points.length);
  curves.replaceChildren(...shown.map(([title, of]) => drawn(title, of)));
  none.hidden = shown.length > 0;
  const at = run.progress;
  if (!bar || !run.under_way) return;
  if (at.steps) {
    bar.max = at.steps;
    bar.value = at.step;
    const left = duration(at.seconds_left);
    const now = { epoch: at.epoch, epochs: run.epochs, step: String(at.step), steps: String(at.steps), loss: short(at.loss), images: String(Math.round(at.images_per_second)), left: left ? say(...left) : "" };
    told.textContent = say(left ? "step_left" : "step", now);
  } else told.textContent = say(run.state === "waiting" ? "waits" : "reads");
}

async function look() {
  let run;
  try {
    run = await ask(page.dataset.progress);
  } catch {
    if (told) told.textContent = say("lost");
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
