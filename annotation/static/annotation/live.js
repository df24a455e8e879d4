// Answers of others as they come in. What somebody looks at stays in place: new ones come in above it.

import { listen } from "./keys.js";

const list = document.getElementById("watched");
const hold = document.getElementById("hold");
const told = document.getElementById("watch-told");

async function look() {
  if (document.hidden || hold.getAttribute("aria-pressed") === "true") return;
  let page;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    told.textContent = "The line is lost. It goes on once it is back.";
    return;
  }
  const now = [...page.querySelectorAll("#watched > li")];
  const known = new Set([...list.children].map((each) => each.id));
  const fresh = now.filter((each) => !known.has(each.id)).length;
  list.replaceChildren(...now.map((each) => (known.has(each.id) ? document.getElementById(each.id) ?? each : document.adoptNode(each))));
  told.textContent = fresh ? `${fresh} new.` : "Nothing new.";
}

hold.addEventListener("click", () => {
  const still = hold.getAttribute("aria-pressed") !== "true";
  hold.setAttribute("aria-pressed", String(still));
  told.textContent = still ? "Held still." : "New answers appear every five seconds.";
});
listen(document.querySelector("[data-keys]"));
setInterval(look, Number(list.dataset.every) * 1_000);
