/** What surrounds the conversation: the sheet on phones, language, appearance, print and download. */

import { download } from "../export.js";
import { forget, keep, kept } from "../storage.js";
import { part } from "./element.js";

const THEME = "theme";

/** On phones the panel moves into a dialog while that is open. */
export function setUpSheet() {
  const sheet = /** @type {HTMLDialogElement} */ (part(".sheet"));
  const panel = part(".panel");
  const home = part(".conversations");
  const isWide = matchMedia("(min-width: 48rem)");
  part("[data-open-sheet]").addEventListener("click", () => {
    sheet.append(panel);
    sheet.showModal();
  });
  part("[data-close-sheet]").addEventListener("click", () => sheet.close());
  sheet.addEventListener("close", () => home.append(panel));
  sheet.addEventListener("click", (event) => {
    const isLink = event.target instanceof Element && event.target.closest("a");
    if (event.target === sheet || isLink) sheet.close();
  });
  isWide.addEventListener("change", () => isWide.matches && sheet.open && sheet.close());
}

/** The language is switched by the server; the page comes back with the same conversation. */
export function setUpLanguage() {
  const form = /** @type {HTMLFormElement} */ (part("[data-language]"));
  const next = /** @type {HTMLInputElement} */ (part("input[name=next]", form));
  form.addEventListener("submit", () => (next.value = location.pathname + location.hash));
}

/** The system's appearance, or the one chosen here; theme.js sets it at the next visit before anything is painted. */
export function setUpAppearance() {
  const chosen = kept(THEME) ?? "";
  for (const radio of document.querySelectorAll("input[name=theme]")) {
    if (!(radio instanceof HTMLInputElement)) continue;
    radio.checked = radio.value === chosen;
    radio.addEventListener("change", () => apply(radio.value));
  }
  // Paper is white, whatever the screen is.
  addEventListener("beforeprint", () => (document.documentElement.dataset.theme = "light"));
  addEventListener("afterprint", () => apply(kept(THEME) ?? ""));
}

/**
 * Print and download take the whole conversation, also what had not been asked for yet.
 * @param {import("../visit.js").Visit} visit
 * @param {string} house whose assistant it is
 * @param {() => void} paint
 */
export function setUpMenu(visit, house, paint) {
  const menu = part("#conversation-menu");
  part("[data-print]", menu).addEventListener("click", async () => {
    menu.hidePopover();
    await visit.whole();
    paint();
    print();
  });
  for (const button of menu.querySelectorAll("[data-download]")) {
    button.addEventListener("click", async () => {
      menu.hidePopover();
      await visit.whole();
      download(visit.state, button.getAttribute("data-download") === "json" ? "json" : "text", house);
    });
  }
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
