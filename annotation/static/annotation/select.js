// Faces, people or pairs to choose from: by click, by key, a stretch with Shift. Without this script the form works all the same.

import { element } from "./dom.js";
import { listen } from "./keys.js";
import { columnsOf, moved } from "./moves.js";
import "./once.js";
import { ask } from "./server.js";
import { say } from "./words.js";

const PAUSE = 200; // ms after the last key before names are looked up

const form = document.querySelector("[data-select]");
if (form) {
  const boxes = [...form.querySelectorAll("[data-choice]")];
  let last = null;

  const count = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    form.querySelector("[data-selected]").textContent = chosen ? say("selected", { count: chosen }) : form.dataset.none;
    for (const button of form.querySelectorAll("[data-needs-selection]")) button.disabled = !chosen;
  };

  form.addEventListener("click", (event) => {
    const index = boxes.indexOf(event.target);
    if (index < 0) return;
    if (event.shiftKey && last !== null) {
      const [from, to] = [last, index].sort((one, other) => one - other);
      for (const box of boxes.slice(from, to + 1)) box.checked = boxes[index].checked;
    }
    last = index;
  });
  form.addEventListener("change", count);
  form.addEventListener("submit", (event) => {
    const to = form.elements.to;
    if (event.submitter?.value !== "move" || to.value.trim()) return;
    event.preventDefault();
    to.focus();
  });
  form.addEventListener("keydown", (event) => {
    const index = boxes.indexOf(event.target);
    if (index < 0) return;
    const place = moved(index, event.key, boxes.length, columnsOf(boxes.map((box) => box.closest("li"))));
    if (place === null) return;
    event.preventDefault();
    boxes[place].focus();
  });
  form.querySelector("[data-select-all]")?.addEventListener("click", () => {
    const all = boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = !all;
    count();
  });
  listen(form);
  count();
}

// A name as it was is typed first: without the focus on its field, letters would press the buttons of the faces.
for (const field of document.querySelectorAll("[data-renames]")) {
  field.form.addEventListener("submit", (event) => {
    if (field.value.trim() !== field.defaultValue) return;
    event.preventDefault();
    field.select();
  });
}

// Names of people, offered as they are typed.
let asked = 0;
for (const field of document.querySelectorAll("[data-people]")) {
  field.addEventListener("input", () => {
    const turn = ++asked;
    setTimeout(async () => {
      const search = field.value.trim();
      if (turn !== asked || !search || /\(#\d+\)$/.test(search)) return;
      try {
        const { results } = await ask(`/api/v1/identities?limit=12&search=${encodeURIComponent(search)}`);
        if (turn !== asked) return;
        const options = results.map((person) => element("option", { value: `${person.name || say("somebody")} (#${person.id})` }, say("so_many_faces", { count: person.face_count })));
        document.getElementById("people-names").replaceChildren(...options);
      } catch {
        // Without suggestions a number or the whole name still does.
      }
    }, PAUSE);
  });
}
