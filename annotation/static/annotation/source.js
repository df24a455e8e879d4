// A source's intakes, while they run.

import { drawIntakes, isUnderWay } from "./intakes.js";
import { ask } from "./server.js";

const OFTEN = 2_000; // ms

const root = document.querySelector("[data-poll-intakes]");

async function look() {
  try {
    const { results } = await ask(`${root.dataset.pollIntakes}?limit=20`);
    drawIntakes(root, results);
    if (!results.some(isUnderWay)) return;
  } catch {
    // The next look may find the server again.
  }
  setTimeout(look, OFTEN);
}

if (root.querySelector(".waiting, .running")) setTimeout(look, OFTEN);
