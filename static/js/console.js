/** Start-up of the console's pages: appearance, and a word when the server cannot be reached. */

import { part } from "./view/element.js";
import { setUpAppearance } from "./view/panel.js";

setUpAppearance();

const lost = part("[data-lost]");
for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.body.addEventListener(failure, () => { lost.hidden = false; });
}
document.body.addEventListener("htmx:afterSwap", () => { lost.hidden = true; });
