// Answers of others as they come in. What somebody looks at stays in place: new ones come in above it.

import { listen } from "./keys.js";
import { say } from "./words.js";

const list = document.getElementById("watched");
const hold = document.getElementById("hold");
const told = document.getElementById("watch-told");

async function look() {
  if (document.hidden || hold.getAttribute("aria-pressed") === "true") return;
  let page;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    told.textContent = say("lost");
    return;
  }
  const now = [...page.querySelectorAll("#watched > li")];
  const known = new Set([...list.children].map((each) => each.id));
  const fresh = now.filter((each) => !known.has(each.id)).length;
  list.replaceChildren(...now.map((each) => (known.has(each.id) ? document.getElementById(each.id) ?? each : document.adoptNode(each))));
  told.textContent = fresh ? say("fresh", { count: fresh }) : say("nothing_new");
}

hold.addEventListener("click", () => {
  const still = hold.getAttribute("aria-pressed") !== "true";
  hold.setAttribute("aria-pressed", String(still));
  told.textContent = say(still ? "still" : "every_five_seconds");
});
listen(document.querySelector("[data-keys]"));
setInterval(look, Number(list.dataset.every) * 1_000);
