// Code, fenced or indented: shown as it is, under a head with its language and a button that copies it.

import { copy } from "../clipboard.js";
import { make } from "./nodes.js";

const CHUNK = 4000; // characters a text node takes before the next one begins, so that growing stays cheap
const COPIED_MS = 2000;
const LANGUAGE_MAX = 24;

export class Code {
  #blankLines = 0;
  #buffer = "";
  #element;
  #isStarted = false;

  /**
   * @param {HTMLElement} parent @param {import("./nodes.js").Labels} labels
   * @param {{mark: string, size: number, indent: number, language: string} | null} fence null: indented code
   */
  constructor(parent, labels, fence) {
    this.kind = fence ? "fence" : "indented";
    this.fence = fence;
    this.#element = make("code");
    const language = fence?.language.slice(0, LANGUAGE_MAX) || labels.code;
    const head = make("header", {}, make("span", {}, language), makeCopyButton(this.#element, labels));
    const name = language === labels.code ? language : `${labels.code}: ${language}`;
    const body = make("pre", { role: "group", tabindex: "0", "aria-label": name }, this.#element);
    parent.append(make("div", { class: "code" }, head, body));
  }

  /** @param {string} text */
  addLine(text) {
    if (this.kind === "indented" && !text) {
      this.#blankLines += 1; // they count only if more code follows
      return;
    }
    this.#buffer += "\n".repeat(this.#blankLines + (this.#isStarted ? 1 : 0)) + text;
    this.#blankLines = 0;
    this.#isStarted = true;
  }

  /** @param {string} piece */
  grow(piece) {
    this.#buffer += piece;
  }

  paint() {
    if (!this.#buffer) return;
    const last = this.#element.lastChild;
    if (last instanceof Text && last.length < CHUNK) last.appendData(this.#buffer);
    else this.#element.append(this.#buffer);
    this.#buffer = "";
  }

  close() {
    this.paint();
    this.#element.normalize();
  }
}

/** @param {HTMLElement} code @param {import("./nodes.js").Labels} labels */
function makeCopyButton(code, labels) {
  const button = make("button", { type: "button", class: "button bare small" }, labels.copy);
  let timer = 0;
  button.addEventListener("click", async () => {
    if (!(await copy(code.textContent ?? ""))) return;
    button.textContent = labels.copied;
    clearTimeout(timer);
    timer = setTimeout(() => (button.textContent = labels.copy), COPIED_MS);
  });
  return button;
}
