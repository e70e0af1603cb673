/**
 * The list of messages: rows in, elements out. An element stays as long as its row's key does, so
 * nothing flickers, loses the focus or forgets a selection because something else has changed.
 */

import words from "words";
import { timeOf } from "../dates.js";
import { otherLanguage } from "../language.js";
import { renderMarkup } from "../markup.js";
import { AnswerView, assistantRow, whoRow } from "./answer.js";
import { element, icon } from "./element.js";

/**
 * @typedef {import("../rows.js").Row} Row
 * @typedef {{element: HTMLElement, row: Row, update?: (row: any) => void, append?: (text: string) => void}} View
 *
 * @typedef {object} Acts what the visitor may do in the list
 * @property {(text: string) => void} ask
 * @property {(item_id: string) => void} sendAgain
 * @property {(item_id: string) => void} remove
 *
 * @typedef {import("./answer.js").Around & Acts} Around
 */

export class MessageList {
  /** @type {Map<string, View>} */
  #views = new Map();
  /** @type {View | null} */
  #running = null;

  /** @param {HTMLElement} section @param {Around} around */
  constructor(section, around) {
    this.section = section;
    this.around = around;
    section.replaceChildren();
  }

  /** Text at the end of the running answer. @param {string} text */
  append(text) {
    this.#running?.append?.(text);
  }

  /** @param {Row[]} rows */
  show(rows) {
    const before = this.#views;
    const views = rows.map((row) => this.#viewOf(row, before.get(row.key)));
    const staying = new Set(views.map((view) => view.element));
    for (const view of before.values()) if (!staying.has(view.element)) view.element.remove();
    let next = this.section.firstElementChild;
    for (const view of views) {
      if (view.element === next) next = next.nextElementSibling;
      else this.section.insertBefore(view.element, next);
    }
    this.#views = new Map(views.map((view) => [view.row.key, view]));
    this.#running = views.find(({ row }) => row.kind === "answer" && row.isRunning) ?? null;
  }

  /** @param {Row} row @param {View | undefined} view the one that showed this key so far */
  #viewOf(row, view) {
    if (!view || view.row.kind !== row.kind) return this.#make(row);
    if (isSame(view.row, row)) return view;
    if (!view.update) return this.#make(row);
    view.update(row);
    view.row = row;
    return view;
  }

  /** @param {Row} row @returns {View} */
  #make(row) {
    switch (row.kind) {
      case "day":
        return { row, element: element("p", { class: "day" }, element("time", {}, row.text)) };
      case "unread":
        return { row, element: element("p", { class: "day unread" }, words.unread) };
      case "event":
        return { row, element: element("p", { class: "event" }, row.text) };
      case "older":
        return { row, element: element("p", { class: "older" }, words.olderComing) };
      case "question":
        return this.#question(row);
      case "answer":
        return new AnswerView(row, this.around);
      case "earlier":
        return { row, element: this.#earlier(row) };
      case "agent":
        return { row, element: this.#agent(row) };
      case "refusal":
        return { row, element: this.#refusal(row) };
      case "welcome":
        return { row, element: this.#welcome(row) };
    }
  }

  /** @param {import("../rows.js").QuestionRow} row @returns {View} */
  #question(row) {
    const bubble = element("p", { class: "bubble" });
    const made = element("article", { class: "message visitor" }, bubble);
    const update = (/** @type {import("../rows.js").QuestionRow} */ { text, at, foot }) => {
      const time = at === null ? "" : timeOf(at);
      made.setAttribute("aria-label", time ? `${words.you}, ${time}` : words.you);
      bubble.title = time;
      if (bubble.textContent !== text) {
        bubble.textContent = text;
        bubble.lang = otherLanguage(text, this.around.locale) ?? "";
        if (!bubble.lang) bubble.removeAttribute("lang");
      }
      made.querySelector(".message-foot")?.remove();
      if (foot) made.append(this.#foot(foot));
    };
    update(row);
    return { row, element: made, update };
  }

  /** @param {import("../rows.js").Foot} foot */
  #foot({ sign, text, item_id }) {
    const made = element("footer", { class: item_id ? "message-foot failed" : "message-foot" }, icon(sign), text);
    if (item_id) {
      const again = element("button", { type: "button" }, words.tryAgain);
      again.addEventListener("click", () => this.around.sendAgain(item_id));
      const remove = element("button", { type: "button" }, words.remove);
      remove.addEventListener("click", () => this.around.remove(item_id));
      made.append(again, remove);
    }
    return made;
  }

  /** @param {import("../rows.js").EarlierRow} row */
  #earlier({ message }) {
    const summary = element("summary", {}, icon("right", true), words.earlierAnswer);
    const body = element("div", { class: "answer", lang: otherLanguage(message.text, this.around.locale) });
    const made = element("details", { class: "earlier" }, summary, body);
    made.addEventListener("toggle", () => renderMarkup(body, message.text, { labels: words }), { once: true });
    return made;
  }

  /** @param {import("../rows.js").AgentRow} row */
  #agent({ message, showsWho }) {
    const at = Date.parse(message.created_at ?? "");
    const team = words.team(this.around.house);
    const badge = element("span", { class: "badge human" }, team);
    const who = whoRow(element("span", { class: "person small" }, icon("human")), badge, element("time", {}, timeOf(at)));
    who.hidden = !showsWho;
    const answer = element("div", { class: "answer", lang: otherLanguage(message.text, this.around.locale) }, message.text);
    return element("article", { class: "message agent", "aria-label": `${team}, ${timeOf(at)}` }, who, answer);
  }

  /** @param {import("../rows.js").RefusalRow} row */
  #refusal({ text, sign }) {
    const who = assistantRow(this.around.name);
    const body = element("p", { class: "withheld" }, icon(sign), element("span", {}, text));
    return element("article", { class: "message assistant", "aria-label": this.around.name }, who, body);
  }

  /** The first line of a greeting is its heading; a further one is said below. @param {import("../rows.js").WelcomeRow} row */
  #welcome({ greeting, starters }) {
    const [heading, ...more] = greeting.split("\n").filter((line) => line.trim());
    const items = starters.map((text) => {
      const button = element("button", { type: "button" }, icon("chat"), element("span", {}, text), icon("arrow", true));
      button.addEventListener("click", () => this.around.ask(text));
      return element("li", {}, button);
    });
    return element(
      "div",
      { class: "welcome" },
      element("span", { class: "mark large" }, icon("north")),
      element("h2", {}, heading ?? this.around.name),
      more.length ? element("p", {}, more.join(" ")) : null,
      items.length ? element("ul", { class: "starters" }, ...items) : null,
    );
  }
}

/** @param {Row} one @param {Row} other */
function isSame(one, other) {
  const values = /** @type {Record<string, unknown>} */ (other);
  return Object.entries(one).every(([name, value]) => value === values[name] || JSON.stringify(value) === JSON.stringify(values[name]));
}
