// A threshold is dragged, and the faces that fall out below it are seen to.

import { listen } from "./keys.js";
import "./once.js";
import { say } from "./words.js";

const slider = document.getElementById("below");
if (slider) {
  const faces = [...document.querySelectorAll("#alike > li")];
  const show = () => {
    const below = Number(slider.value);
    const out = faces.filter((each) => Number(each.dataset.cosine) < below);
    for (const each of faces) each.classList.toggle("out", Number(each.dataset.cosine) < below);
    document.getElementById("out").value = out.map((each) => each.dataset.face).join(",");
    document.getElementById("told").textContent = say("fall_out_of", { count: out.length, total: faces.length });
    document.getElementById("selected").textContent = say("fall_out", { count: out.length });
    for (const button of document.querySelectorAll("[data-needs-out]")) button.disabled = out.length === 0;
  };
  slider.addEventListener("input", show);
  slider.form.addEventListener("submit", (event) => event.preventDefault());
  show(); // the browser may have kept where it stood
  listen(document.querySelector("[data-keys]"));
}
