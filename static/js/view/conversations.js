/** The visitor's conversations: the column on the left, or the sheet on phones. */

import words from "words";
import { daysBefore, shortOf } from "../dates.js";
import { otherLanguage } from "../language.js";
import { element } from "./element.js";

const TYPING_MS = 250;

/**
 * @typedef {import("../frames.js").ConversationLine} ConversationLine
 * @typedef {{id: string | null, isWriting: boolean}} Current the conversation that is shown
 */

export class ConversationList {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #typing;
  #shown = "";

  /**
   * @param {HTMLElement} nav
   * @param {HTMLInputElement} search
   * @param {import("../shelf.js").Shelf} shelf
   */
  constructor(nav, search, shelf) {
    this.nav = nav;
    this.shelf = shelf;
    search.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => shelf.search(search.value), TYPING_MS);
    });
  }

  /** @param {Current} current */
  show(current) {
    const { items, more, query, isKnown } = this.shelf;
    const shown = JSON.stringify([items, more, query, current, new Date().getDate()]);
    if (!isKnown || shown === this.#shown) return; // a link that is replaced under the pointer is not clicked
    this.#shown = shown;
    const focused = document.activeElement?.getAttribute("href");
    this.nav.replaceChildren(...groups(items, Date.now()).flatMap(([name, lines]) => this.#group(name, lines, current)));
    if (!items.length) this.nav.append(element("p", {}, query ? words.nothingFound(query) : words.noConversations));
    if (more) this.nav.append(this.#showMore());
    if (focused) [...this.nav.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
  }

  /** @param {string} name @param {ConversationLine[]} lines @param {Current} current */
  #group(name, lines, current) {
    const now = Date.now();
    const page = document.documentElement.lang;
    const rows = lines.map(({ id, title, last_message_at, last_line }) => {
      const at = Date.parse(last_message_at);
      const isCurrent = id === current.id;
      return element(
        "li",
        {},
        element(
          "a",
          { href: `#/${id}`, "aria-current": isCurrent ? "page" : null },
          element("strong", { lang: otherLanguage(title, page) }, title || words.newConversation),
          element("time", { datetime: last_message_at }, shortOf(at, now)),
          isCurrent && current.isWriting
            ? element("span", {}, words.writing)
            : element("span", { lang: otherLanguage(last_line, page) }, last_line),
        ),
      );
    });
    return [element("h2", {}, name), element("ul", {}, ...rows)];
  }

  #showMore() {
    const button = element("button", { type: "button", class: "button bare more" }, words.showMore);
    button.addEventListener("click", () => this.shelf.next());
    return button;
  }
}

/** @param {ConversationLine[]} items newest first @param {number} now @returns {[string, ConversationLine[]][]} */
function groups(items, now) {
  /** @type {Map<string, ConversationLine[]>} */
  const found = new Map();
  for (const item of items) {
    const days = daysBefore(Date.parse(item.last_message_at), now);
    const name = days <= 0 ? words.today : days === 1 ? words.yesterday : words.earlier;
    found.set(name, [...(found.get(name) ?? []), item]);
  }
  return [...found];
}
