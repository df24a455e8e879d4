// A photo that is dropped, pasted, chosen or taken is sent, and what comes back is drawn on it.

import { element } from "./dom.js";
import { listen } from "./keys.js";
import { pictureOf, plainName, scaleOf, shares, span, speakers } from "./predicted.js";
import { send } from "./server.js";
import { called, say } from "./words.js";

const root = document.querySelector("[data-try]");
const part = (name) => document.querySelector(`[data-${name}]`);
const [told, result, drop, dialog, video] = ["told", "result", "drop", "dialog", "video"].map(part);
const attributes = root.dataset.attributes.split(" ");
const oldest = Number(root.dataset.oldest);
const CROWD = 6; // faces; of more, each is a line that opens
let latest = 0; // of several photos in a row only the last one is shown
let address = "";

async function look(file) {
  if (!file) return tell(say("no_picture"), true);
  const mine = ++latest;
  tell(say("looking"));
  result.hidden = true;
  for (const name of document.querySelectorAll("[data-name]")) name.textContent = plainName(file.name);
  let answer;
  try {
    answer = await send(root.dataset.try, file, () => {}, "photo");
  } catch (error) {
    if (mine === latest) tell(error.message, true);
    return;
  }
  if (mine !== latest) return;
  URL.revokeObjectURL(address);
  address = URL.createObjectURL(file);
  part("picture").replaceChildren(drawn(answer));
  part("faces").replaceChildren(...answer.faces.map(card), said(answer.models));
  result.hidden = false;
  tell(answer.faces.length ? say("faces_found", { count: answer.faces.length }) : say("no_face"));
}

function tell(text, bad = false) {
  told.textContent = text;
  told.classList.toggle("bad", bad);
}

// ---- what is drawn

function drawn({ width, height, faces }) {
  const unit = scaleOf(width, height);
  const boxes = faces.map((face, index) => {
    const { x, y, width: w, height: h } = face.box;
    const points = face.landmarks.map(([cx, cy]) => element("circle", { cx, cy, r: 1.6 * unit }));
    const number = element("text", { x: x + 4 * unit, y: y + 17 * unit, "font-size": 16 * unit }, String(index + 1));
    return element("g", { class: `drawn ${face.chosen ? "chosen" : ""}` }, element("rect", { x, y, width: w, height: h, rx: 2 }), ...points, number);
  });
  return element(
    "figure",
    { class: "photo-shown" },
    element("img", { src: address, width, height, alt: say("photo_alt") }),
    element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, ...boxes),
  );
}

function card(face, index, faces) {
  const title = `face-${index + 1}`;
  const heading = element("h2", { id: title }, say("face_number", { number: index + 1 }));
  const beliefs = [
    face.quality.usable ? null : element("p", { class: "error" }, say("unusable", { reason: face.quality.reason })),
    ...attributes.map((name) => attribute(name, face[name])),
  ];
  if (faces.length <= CROWD) return element("section", { class: "card", "aria-labelledby": title }, heading, ...beliefs);
  const short = element("span", { class: "muted" }, gist(face));
  return element("details", { class: "card" }, element("summary", {}, heading, short), ...beliefs);
}

// The likeliest of everything, in a line.
function gist(face) {
  const likeliest = (belief) => (belief.distribution ? called(belief.value) : say("age_alone", { mean: Math.round(belief.mean) }));
  return attributes.filter((name) => face[name] && !face[name].abstained).map((name) => likeliest(face[name])).join(", ");
}

function attribute(name, belief) {
  const about = element("span", {}, called(name));
  if (!belief) return element("div", { class: "attribute" }, element("h3", {}, about), element("p", { class: "muted" }, say("no_model")));
  const doubts = [belief.abstained && say("abstained"), !belief.calibrated && say("not_calibrated")].filter(Boolean);
  const heading = element("h3", {}, about, ...doubts.map((doubt) => element("i", { class: "badge" }, doubt)));
  return element("div", { class: `attribute ${belief.abstained ? "unsure" : ""}` }, heading, belief.distribution ? bars(belief) : years(belief));
}

function bars({ distribution }) {
  const rows = shares(distribution).map(({ value, share, percent }) =>
    element(
      "div",
      { class: "bar" },
      element("span", {}, called(value)),
      element("progress", { value: share, max: 1, "aria-label": called(value) }),
      element("span", { class: "number" }, say("percent", { share: percent })),
    ),
  );
  return element("div", { class: "shares" }, ...rows);
}

function years(belief) {
  const { start, width, mean } = span(belief, oldest);
  const measured = belief.calibrated; // of an interval that nobody has measured nothing is promised
  const words = { mean: Math.round(belief.mean), low: belief.low, high: belief.high, oldest };
  return element(
    "div",
    {},
    element("p", {}, say(measured ? "age" : "age_alone", words)),
    element(
      "svg",
      { class: "years", viewBox: "0 0 100 6", preserveAspectRatio: "none", role: "img", "aria-label": say(measured ? "age_drawn" : "age_alone", words) },
      element("rect", { class: "all", x: 0, y: 1.5, width: 100, height: 3 }),
      measured ? element("rect", { class: "likely", x: start, y: 1.5, width, height: 3 }) : null,
      element("rect", { class: "mean", x: Math.max(mean - 0.4, 0), y: 0, width: 0.8, height: 6 }),
    ),
  );
}

const said = (models) => element("p", { class: "muted small" }, say("said_by", { names: speakers(models).join(", ") }));

// ---- ways in

for (const field of root.querySelectorAll("[data-file]")) {
  field.addEventListener("change", () => {
    if (field.files.length) look(pictureOf(field.files));
    field.value = "";
  });
}
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  look(pictureOf(event.dataTransfer.files));
});
document.addEventListener("paste", (event) => {
  const file = pictureOf(event.clipboardData?.files);
  if (file) look(file);
});

// ---- the camera; where a page may not have it, the phone's own program takes the picture

async function open() {
  if (!navigator.mediaDevices?.getUserMedia) return part("capture").click();
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
  } catch (error) {
    return tell(say("no_camera", { message: error.message }), true);
  }
  dialog.showModal();
}

function shut() {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

part("camera").addEventListener("click", open);
part("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", shut);
part("take").addEventListener("click", () => {
  const canvas = element("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => look(blob), "image/jpeg", 0.92);
  dialog.close();
});
listen(root);
