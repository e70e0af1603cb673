/** An answer of the assistant: growing, ended in one of its ways, or withdrawn. */

import words from "words";
import { copy } from "../clipboard.js";
import { timeOf } from "../dates.js";
import { otherLanguage } from "../language.js";
import { MarkupStream, renderMarkup } from "../markup.js";
import { Sentences } from "../speech.js";
import { element, icon, iconButton, setIcon, smallButton } from "./element.js";
import { FeedbackForm } from "./feedback.js";

/**
 * @typedef {import("../rows.js").AnswerRow} AnswerRow
 *
 * @typedef {object} Around what answers share
 * @property {string} name of the assistant
 * @property {string} house whose assistant it is
 * @property {string} locale of the page
 * @property {import("./speaker.js").Speaker} speaker
 * @property {(turn_id: string) => void} retry
 * @property {(message_id: string, feedback: import("../visit.js").Feedback) => void} rate
 */

const STILL_LOOKING_MS = 4_000;
const TAKES_LONGER_MS = 12_000;
const COPIED_MS = 2_000;

export class AnswerView {
  element = element("article", { class: "message assistant" });
  #time = element("time");
  #who;
  #body = element("div", { class: "answer" });
  #waiting = element("p", { class: "waiting" }, element("span", { class: "caret" }), element("span"));
  #caret = element("span", { class: "caret", "aria-hidden": "true" });
  #ending = element("div");
  #actions = element("div", { class: "actions" });
  /** @type {MarkupStream | null} */
  #stream = null;
  #sentences = new Sentences();
  /** What the body shows, as text and status. */
  #shown = { text: "", status: "" };
  /** @type {ReturnType<typeof setTimeout>[]} */
  #timers = [];
  /** @type {{up: HTMLElement, down: HTMLElement, again: HTMLElement, feedback: FeedbackForm} | null} */
  #tools = null;

  /** @param {AnswerRow} row @param {Around} around */
  constructor(row, around) {
    this.row = row;
    this.around = around;
    this.#who = assistantRow(around.name, this.#time);
    this.element.append(this.#who, this.#body, this.#ending, this.#actions);
    this.#setTime(row.message.created_at ? Date.parse(row.message.created_at) : Date.now());
    if (row.isRunning) this.#begin();
    this.update(row);
  }

  /** @param {AnswerRow} row */
  update(row) {
    this.row = row;
    const { message, isRunning, isLast, showsWho } = row;
    this.#who.hidden = !showsWho;
    this.element.classList.toggle("last", isLast || isRunning);
    if (message.created_at) this.#setTime(Date.parse(message.created_at));
    if (isRunning) this.#catchUp(message.text);
    else this.#settle();
  }

  /** Text at the end of the running answer. @param {string} text */
  append(text) {
    if (!text) return;
    if (!this.#stream) this.#speakUp(text);
    this.#caret.remove();
    this.#stream?.append(text);
    innermostEnd(this.#body).append(this.#caret);
    this.around.speaker.say(...this.#sentences.add(text));
  }

  #begin() {
    this.element.setAttribute("aria-busy", "true");
    this.#body.replaceChildren();
    this.#body.hidden = true;
    this.#ending.before(this.#waiting);
    const wait = (/** @type {string} */ sentence, /** @type {number} */ after_ms) =>
      setTimeout(() => {
        this.#waiting.lastElementChild?.replaceChildren(sentence);
        this.around.speaker.say(sentence);
      }, after_ms);
    this.#timers = [wait(words.stillLooking, STILL_LOOKING_MS), wait(words.takesLonger, TAKES_LONGER_MS)];
  }

  /** The first words are here. @param {string} text */
  #speakUp(text) {
    this.#endWaiting();
    this.#body.replaceChildren();
    this.#setLanguage(text);
    this.#stream = new MarkupStream(this.#body, { labels: words });
  }

  /** Show exactly `text` of the running answer, by adding to what is there where that is possible. @param {string} text */
  #catchUp(text) {
    const shown = this.#stream?.text ?? "";
    if (text.startsWith(shown)) this.append(text.slice(shown.length));
    else {
      this.#stream = null;
      this.#sentences = new Sentences();
      if (text) this.append(text);
      else this.#begin();
    }
  }

  #endWaiting() {
    this.#timers.forEach(clearTimeout);
    this.#waiting.remove();
    this.#body.hidden = false;
  }

  #settle() {
    const { text, status } = this.row.message;
    if (this.element.hasAttribute("aria-busy")) this.#finish(text);
    if (this.#shown.text !== text || this.#shown.status !== status) {
      this.#shown = { text, status };
      this.#showBody(text);
    }
    this.#showEnding();
    this.#showActions();
  }

  /** The turn has ended. @param {string} text the whole answer */
  #finish(text) {
    this.element.removeAttribute("aria-busy");
    this.#endWaiting();
    this.#caret.remove();
    if (isWithheld(this.row.message)) this.around.speaker.say(text || words.withdrawn);
    else this.around.speaker.say(...this.#sentences.end(), ...(this.row.ending ? [this.row.ending] : []));
    if (this.#stream?.text === text) {
      this.#stream.finish();
      this.#shown = { text, status: this.row.message.status };
    }
    this.#stream = null;
  }

  /** @param {string} text */
  #showBody(text) {
    const isSentence = isWithheld(this.row.message);
    this.#body.className = isSentence ? "withheld" : "answer";
    this.#body.hidden = !text && !isSentence;
    this.#setLanguage(text);
    if (isSentence) this.#body.replaceChildren(icon("shield"), element("span", {}, text || words.withdrawn));
    else renderMarkup(this.#body, text, { labels: words });
  }

  #showEnding() {
    const { message, isRetryable, ending } = this.row;
    const isBad = message.status !== "stopped";
    this.#ending.className = isBad ? "ending bad" : "ending";
    this.#ending.hidden = !ending;
    if (!ending) return;
    const again = smallButton(isBad ? words.tryAgain : words.answerAgain, () => this.#retry(), "again");
    this.#ending.replaceChildren(...(isBad ? [icon("warn")] : []), element("span", {}, ending), ...(isRetryable ? [again] : []));
  }

  #showActions() {
    const { text, status } = this.row.message;
    if (!text || status === "failed" || isWithheld(this.row.message)) {
      this.#actions.remove();
      this.#tools?.feedback.element.remove();
      return;
    }
    this.#tools ??= this.#makeTools();
    if (!this.#tools.feedback.element.isConnected) this.element.append(this.#actions, this.#tools.feedback.element);
    const { rating } = this.row.message;
    this.#tools.up.setAttribute("aria-pressed", String(rating === 1));
    this.#tools.down.setAttribute("aria-pressed", String(rating === -1));
    this.#tools.again.hidden = !this.row.isRetryable || this.row.ending !== null;
    if (rating !== -1) this.#tools.feedback.close();
  }

  #makeTools() {
    const { rate } = this.around;
    const id = this.row.message.id;
    const feedback = new FeedbackForm((comment) => {
      rate(id, { rating: -1, comment });
      this.around.speaker.say(words.thanks);
    });
    const up = iconButton("up", words.helpful, () => rate(id, { rating: this.row.message.rating === 1 ? null : 1 }));
    const down = iconButton("down", words.notHelpful, () => {
      const isTakenBack = this.row.message.rating === -1;
      rate(id, { rating: isTakenBack ? null : -1 });
      if (!isTakenBack) feedback.open();
    });
    const again = iconButton("again", words.answerAgain, () => this.#retry());
    const copying = iconButton("copy", words.copy, () => this.#copy(copying));
    this.#actions.append(copying, up, down, again);
    return { up, down, again, feedback };
  }

  /** @param {HTMLElement} button */
  async #copy(button) {
    if (!(await copy(this.row.message.text))) return;
    const sign = /** @type {SVGElement} */ (button.firstElementChild);
    setIcon(sign, "check");
    button.classList.add("done");
    this.around.speaker.say(words.copied);
    setTimeout(() => {
      setIcon(sign, "copy");
      button.classList.remove("done");
    }, COPIED_MS);
  }

  #retry() {
    if (this.row.message.turn_id) this.around.retry(this.row.message.turn_id);
  }

  /** @param {number} at */
  #setTime(at) {
    this.#time.dateTime = new Date(at).toISOString();
    this.#time.textContent = timeOf(at);
    this.element.setAttribute("aria-label", `${this.around.name}, ${timeOf(at)}`);
  }

  /** @param {string} text */
  #setLanguage(text) {
    const language = otherLanguage(text, this.around.locale);
    if (language) this.#body.lang = language;
    else this.#body.removeAttribute("lang");
  }
}

/** Whether a sentence stands in place of the text. @param {import("../frames.js").Message} message */
const isWithheld = ({ status }) => status === "hidden" || status === "blocked";

/** The row that says who speaks. @param {...Node} parts */
export function whoRow(...parts) {
  return element("header", { class: "who" }, ...parts);
}

/** The same for the assistant: nobody may take it for a person. @param {string} name @param {...Node} more */
export function assistantRow(name, ...more) {
  const sign = element("span", { class: "mark small" }, icon("north"));
  return whoRow(sign, element("h2", {}, name), element("span", { class: "badge" }, "AI"), ...more);
}

/** The element the last character stands in. @param {Element} body @returns {Element} */
function innermostEnd(body) {
  const last = body.lastElementChild;
  return last && !last.matches("a, b, br, code:not(pre > code), del, em, i, s, span, strong, hr, img") ? innermostEnd(last) : body;
}
