/** “What was wrong?”: one line under an answer that did not help. */

import words from "words";
import { element } from "./element.js";

const LONGEST = 1000; // characters, as the server keeps

export class FeedbackForm {
  element = element("div", { hidden: true });
  /** What had the focus before. @type {Element | null} */
  #opener = null;

  /** @param {(comment: string) => void} send */
  constructor(send) {
    this.send = send;
  }

  open() {
    const input = element("input", { class: "input", maxlength: String(LONGEST), autocomplete: "off" });
    const field = element("label", { class: "field" }, element("span", { class: "label" }, words.whatWasWrong), input);
    const form = element("form", { class: "comment" }, field, element("button", { class: "button", type: "submit" }, words.send));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(input.value.trim());
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation(); // it closes this line, it does not stop an answer
      this.close();
    });
    this.#opener = document.activeElement;
    this.element.replaceChildren(form);
    this.element.hidden = false;
    input.focus();
  }

  close() {
    this.#giveBackFocus();
    this.element.hidden = true;
    this.element.replaceChildren();
  }

  /** @param {string} comment */
  #submit(comment) {
    if (!comment) return this.close();
    this.send(comment);
    this.#giveBackFocus();
    this.element.replaceChildren(element("p", { class: "thanks" }, words.thanks));
  }

  #giveBackFocus() {
    if (this.element.contains(document.activeElement) && this.#opener instanceof HTMLElement) this.#opener.focus();
  }
}
