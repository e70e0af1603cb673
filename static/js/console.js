/** Start-up of the console's pages: appearance, and a word when the server cannot be reached. */

import { setUpAppearance } from "./appearance.js";

setUpAppearance();

const lost = /** @type {HTMLElement} */ (document.querySelector("[data-lost]"));
for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.body.addEventListener(failure, () => { lost.hidden = false; });
}
document.body.addEventListener("htmx:afterSwap", () => { lost.hidden = true; });
