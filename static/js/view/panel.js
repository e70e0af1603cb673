/** What surrounds the conversation: the sheet on phones, language, print and download. */

import words from "words";
import { download } from "../export.js";
import { part } from "./element.js";

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

/**
 * Print and download take the whole conversation, also what had not been asked for yet.
 * @param {import("../visit.js").Visit} visit
 * @param {string} house whose assistant it is
 * @param {import("./refused.js").RefusedLine} refused
 * @param {() => void} paint
 */
export function setUpMenu(visit, house, refused, paint) {
  const menu = part("#conversation-menu");
  const isWhole = async () => {
    menu.hidePopover();
    const isThere = await visit.whole();
    if (!isThere) refused.say(words.notWhole);
    return isThere;
  };
  part("[data-print]", menu).addEventListener("click", async () => {
    if (!(await isWhole())) return;
    paint();
    print();
  });
  for (const button of menu.querySelectorAll("[data-download]")) {
    button.addEventListener("click", async () => {
      if (await isWhole()) download(visit.state, button.getAttribute("data-download") === "json" ? "json" : "text", house);
    });
  }
}
