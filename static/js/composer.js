/**
 * The field at the bottom: writes, grows, keeps the draft, sends, stops. It is never disabled: what
 * stands in the way of sending is said above it.
 */

import { forget, keep, kept } from "./storage.js";
import { codePoints } from "./timeline.js";
import { part } from "./view/element.js";

const COUNTED_FROM = 0.9; // of the limit
const DRAFT = "draft.";

/**
 * @typedef {object} Situation
 * @property {string | null} draft the name the draft is kept under; null while it is not known where one is
 * @property {boolean} isSwitching the visitor chose another conversation: what was being written stays there
 * @property {number} maxChars Infinity while unknown
 * @property {boolean} isRunning an answer is being written
 * @property {boolean} isStopping
 * @property {boolean} isHeld sending has to wait
 */

export class Composer {
  #form = /** @type {HTMLFormElement} */ (part(".composer form"));
  #field = /** @type {HTMLTextAreaElement} */ (part(".composer textarea"));
  #send = /** @type {HTMLButtonElement} */ (part(".send[type=submit]"));
  #stop = /** @type {HTMLButtonElement} */ (part(".send.stop"));
  #left = part(".composer .left");
  /** @type {Situation} */
  #situation = { draft: null, isSwitching: false, maxChars: Infinity, isRunning: false, isStopping: false, isHeld: false };

  /**
   * @param {object} acts
   * @param {(text: string) => void} acts.send
   * @param {() => void} acts.stop
   * @param {(excess: number) => void} acts.measure told how many characters are too many, at each change
   */
  constructor(acts) {
    this.acts = acts;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#form.addEventListener("click", (event) => event.target === this.#form && this.#field.focus());
    this.#field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || isComposing(event)) return;
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener("input", () => {
      this.#keepDraft();
      this.#show();
    });
    this.#stop.addEventListener("click", () => acts.stop());
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.defaultPrevented || isComposing(event)) return;
      if (event.target instanceof HTMLInputElement) return; // it empties the search
      if (this.#situation.isRunning && !document.querySelector("dialog[open], :popover-open")) acts.stop();
    });
  }

  focus() {
    this.#field.focus({ preventScroll: true });
  }

  /** @param {Situation} situation */
  show(situation) {
    const before = this.#situation.draft;
    this.#situation = situation;
    if (situation.draft !== before) this.#changeDraft(before);
    this.#show();
  }

  #submit() {
    if (this.#send.disabled) return;
    const text = this.#field.value.trim().replaceAll("\0", "");
    this.#field.value = "";
    this.#keepDraft();
    this.acts.send(text.toWellFormed?.() ?? text);
    this.#show();
  }

  #show() {
    const { maxChars, isRunning, isStopping, isHeld } = this.#situation;
    const text = this.#field.value.trim();
    // UTF-16 units are never fewer than code points, so short texts need no counting.
    const count = text.length < maxChars * COUNTED_FROM ? 0 : codePoints(text);
    const excess = Math.max(0, count - maxChars);
    const hadFocus = document.activeElement === this.#stop;
    this.#left.hidden = count < maxChars * COUNTED_FROM;
    this.#left.textContent = excess ? `−${excess}` : String(maxChars - count);
    this.#left.classList.toggle("over", excess > 0);
    this.#send.disabled = !text || excess > 0 || isHeld;
    this.#send.hidden = isRunning && !text;
    this.#stop.hidden = !isRunning;
    this.#stop.setAttribute("aria-disabled", String(isStopping));
    if (hadFocus && !isRunning && matchMedia("(hover: hover)").matches) this.focus(); // the button goes away
    this.#grow();
    this.acts.measure(excess);
  }

  /** For browsers without `field-sizing`: as many rows as the text needs. */
  #grow() {
    if (CSS.supports("field-sizing", "content")) return;
    this.#field.rows = 1;
    const line = Number.parseFloat(getComputedStyle(this.#field).lineHeight);
    this.#field.rows = Math.max(1, Math.floor(this.#field.scrollHeight / line));
  }

  /** Another conversation, and its draft; but what is being written goes along into one that opens by itself. @param {string | null} before */
  #changeDraft(before) {
    const { draft, isSwitching } = this.#situation;
    if (this.#field.value && !isSwitching) {
      if (before) forget(DRAFT + before);
      this.#keepDraft();
    } else this.#field.value = (draft && kept(DRAFT + draft)) ?? "";
  }

  #keepDraft() {
    const { draft } = this.#situation;
    if (draft === null) return;
    if (this.#field.value) keep(DRAFT + draft, this.#field.value);
    else forget(DRAFT + draft);
  }
}

/** Enter and Escape belong to an input method while it composes. @param {KeyboardEvent} event */
function isComposing(event) {
  return event.isComposing || event.keyCode === 229; // Safari ends the composition before the key
}
