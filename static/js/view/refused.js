/** The line above the composer: why something was not done, and for how long. */

import words from "words";
import { sentenceFor } from "../refusals.js";
import { element, icon, smallButton } from "./element.js";

const CALM = new Set(["busy", "unauthorized", "not_found"]); // nothing the visitor did went wrong
const SHOWN_MS = 12_000; // where nothing counts down

/** @typedef {{isCalm?: boolean, isNewOffered?: boolean}} Manner */

export class RefusedLine {
  /** Sending has to wait until then, ms since 1970. */
  #heldUntil = 0;
  #excess = 0;
  /** What was said last, until it has been shown long enough. @type {{sentence: string, manner: Manner} | null} */
  #said = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {HTMLElement} line @param {import("./speaker.js").Speaker} speaker */
  constructor(line, speaker) {
    this.line = line;
    this.speaker = speaker;
  }

  get isHeld() {
    return this.#heldUntil > Date.now();
  }

  /** What was typed is too long by so many characters; 0 is not. @param {number} excess */
  measure(excess) {
    if (excess && !this.#excess) this.speaker.say(words.tooLong(excess));
    this.#excess = excess;
    this.show();
  }

  /** @param {import("../frames.js").ErrorFrame} error */
  tell(error) {
    const { code, retry_after_s } = error;
    if (code === "rate_limited" && retry_after_s) {
      this.#heldUntil = Date.now() + retry_after_s * 1000;
      this.speaker.say(sentenceFor(error));
      this.show();
    } else this.say(sentenceFor(error), { isCalm: CALM.has(code), isNewOffered: code === "not_found" });
  }

  /** @param {string} sentence @param {Manner} [manner] */
  say(sentence, manner = {}) {
    clearTimeout(this.#timer);
    this.#said = { sentence, manner };
    this.#timer = setTimeout(() => {
      this.#said = null;
      this.show();
    }, SHOWN_MS);
    this.speaker.say(sentence);
    this.show();
  }

  /** Show what holds now: called each second while something counts down. */
  show() {
    const seconds = Math.ceil((this.#heldUntil - Date.now()) / 1000);
    if (seconds > 0) this.#write(words.rateLimited(seconds), {});
    else if (this.#excess) this.#write(words.tooLong(this.#excess), {});
    else if (this.#said) this.#write(this.#said.sentence, this.#said.manner);
    else this.line.hidden = true;
  }

  /** @param {string} sentence @param {Manner} manner */
  #write(sentence, { isCalm = false, isNewOffered = false }) {
    if (!this.line.hidden && this.line.dataset.sentence === sentence) return;
    const fresh = smallButton(words.newConversation, () => (location.hash = "#/new"), "pen");
    this.line.className = isCalm ? "refused calm" : "refused";
    this.line.dataset.sentence = sentence;
    this.line.replaceChildren(icon(isCalm ? "info" : "warn", true), element("span", {}, sentence), ...(isNewOffered ? [fresh] : []));
    this.line.hidden = false;
  }
}
