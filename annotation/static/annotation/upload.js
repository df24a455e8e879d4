// Files dropped or chosen are sent three at a time; a bad one spoils only itself.

import { element } from "./dom.js";
import { isFinal } from "./outbox.js";
import { persistently, someAtATime, summary } from "./sending.js";
import { send } from "./server.js";
import { say } from "./words.js";

const WIDTH = 3;
const ROWS = 200; // of files that went well; beyond it the summary tells enough

const root = document.querySelector("[data-upload]");
const list = root.querySelector("[data-list]");
const drop = root.querySelector("[data-drop]");
const bar = root.querySelector("[data-all]");
const counts = {};
let total = 0;
let line = Promise.resolve();

function add(files) {
  if (!files.length) return;
  total += files.length;
  tell();
  line = line.then(() => someAtATime(files, WIDTH, one));
}

async function one(file) {
  const progress = element("progress", { value: 0, max: 1, "aria-label": file.name });
  const told = element("span", { class: "told" });
  const row = element("li", {}, element("span", { class: "breaks" }, file.webkitRelativePath || file.name), progress);
  list.prepend(row);
  try {
    const answer = await persistently(() => send(root.dataset.upload, file, (share) => (progress.value = share)), isFinal);
    counts[answer.outcome] = (counts[answer.outcome] ?? 0) + 1;
    told.textContent = say(`file_${answer.outcome}`);
    told.classList.toggle("ok", answer.outcome !== "refused");
    if (answer.reason) row.append(element("span", { class: "refused" }, answer.reason));
  } catch (error) {
    counts.failed = (counts.failed ?? 0) + 1;
    told.textContent = say("file_failed");
    row.append(element("span", { class: "refused" }, error.message));
  }
  progress.replaceWith(told);
  tidy();
  tell();
}

// What was refused stays in sight; of what went well the latest rows do.
function tidy() {
  const fine = [...list.children].filter((row) => row.querySelector(".ok"));
  for (const row of fine.slice(ROWS)) row.remove();
}

function tell() {
  const ended = Object.values(counts).reduce((sum, count) => sum + count, 0);
  root.querySelector("[data-summary]").hidden = false;
  bar.max = total;
  bar.value = ended;
  root.querySelector("[data-told]").textContent = summary(counts, total, say);
}

// ---- folders that were dropped hold files at any depth

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const each of some) found.push(...(await filesOf(each)));
  }
}

for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = entries.length ? (await Promise.all(entries.map(filesOf))).flat() : [...event.dataTransfer.files];
  add(files);
});
function addChosen(field) {
  add([...field.files]);
  field.value = "";
}
for (const field of root.querySelectorAll("[data-files]")) {
  field.addEventListener("change", () => addChosen(field));
  addChosen(field); // chosen before this script was there
}
window.addEventListener("beforeunload", (event) => {
  const ended = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (ended < total) event.preventDefault();
});
