/** The system's appearance, or the one chosen here; theme.js sets it at the next visit before anything is painted. */

import { forget, keep, kept } from "./storage.js";

const THEME = "theme";

/** Follow the radio buttons named "theme". Paper is white, whatever the screen is. */
export function setUpAppearance() {
  for (const radio of document.querySelectorAll("input[name=theme]")) {
    if (!(radio instanceof HTMLInputElement)) continue;
    radio.checked = radio.value === (kept(THEME) ?? "");
    radio.addEventListener("change", () => apply(radio.value));
  }
  addEventListener("beforeprint", () => (document.documentElement.dataset.theme = "light"));
  addEventListener("afterprint", () => apply(kept(THEME) ?? ""));
}

/** @param {string} theme "" is the system's */
function apply(theme) {
  if (theme) {
    keep(THEME, theme);
    document.documentElement.dataset.theme = theme;
  } else {
    forget(THEME);
    delete document.documentElement.dataset.theme;
  }
}
