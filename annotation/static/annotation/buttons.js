// Keys for the buttons of a page: each presses the button that shows it.

import { listen } from "./keys.js";
import "./once.js";

for (const root of document.querySelectorAll("[data-keys]")) listen(root);
