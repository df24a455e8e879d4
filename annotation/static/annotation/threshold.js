// A threshold is dragged, and the faces that fall out below it are seen to.

import { listen } from "./keys.js";

const slider = document.getElementById("below");
if (slider) {
  const faces = [...document.querySelectorAll("#alike > li")];
  const show = () => {
    const below = Number(slider.value);
    const out = faces.filter((each) => Number(each.dataset.cosine) < below);
    for (const each of faces) each.classList.toggle("out", Number(each.dataset.cosine) < below);
    document.getElementById("out").value = out.map((each) => each.dataset.face).join(",");
    document.getElementById("told").textContent = `${out.length} of ${faces.length} fall out`;
    document.getElementById("selected").textContent = `${out.length} fall out`;
    for (const button of document.querySelectorAll("[data-needs-out]")) button.disabled = out.length === 0;
  };
  slider.addEventListener("input", show);
  slider.form.addEventListener("submit", (event) => event.preventDefault());
  show(); // the browser may have kept where it stood
  listen(document.querySelector("[data-keys]"));
}
