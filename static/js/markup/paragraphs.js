// Paragraphs and headings: leaves that hold nothing but words.

import { withoutSpaceEnd } from "./inline.js";
import { splitCells } from "./lines.js";
import { make } from "./nodes.js";
import { Table } from "./tables.js";
import { InlineView } from "./view.js";

const HEADINGS = ["h2", "h3", "h4"]; // the page's own title is the h1
const TASK = /^\[([ xX])\][ \t]+(?=[^ \t])/;

export class Paragraph {
  kind = "paragraph";
  #isItem;
  #labels;
  #lineAt = 0;
  #parent;
  /** @type {Table | null} */
  #preview = null;
  #text;
  /** @type {InlineView | null} */
  #view = null;

  /**
   * @param {HTMLElement} parent @param {string} text @param {import("./nodes.js").Labels} labels
   * @param {{isItem: boolean}} place `isItem`: it is the first in a list's item and needs no element of its own
   */
  constructor(parent, text, labels, { isItem }) {
    this.#parent = parent;
    this.#text = text;
    this.#labels = labels;
    this.#isItem = isItem;
  }

  get lastLine() {
    return this.#text.slice(this.#lineAt);
  }

  /** @param {string} text */
  addLine(text) {
    this.#lineAt = this.#text.length + 1;
    this.#text += `\n${text}`;
  }

  /** @param {string} piece */
  grow(piece) {
    this.#text += piece;
  }

  /** Give the last line away: it turned out to be the head of a table. */
  takeLastLine() {
    const line = this.lastLine;
    this.#text = this.#text.slice(0, Math.max(0, this.#lineAt - 1));
    this.#lineAt = 0;
    this.#clear();
    return line;
  }

  paint() {
    const isHead = this.#lineAt === 0 && this.#text.startsWith("|");
    if (isHead) this.#showHead();
    else this.#show({ isOpen: true });
  }

  close() {
    this.#text = withoutSpaceEnd(this.#text);
    if (this.#text) this.#show({ isOpen: false });
  }

  /** A first line that begins with `|` is most likely the head of a table, and is shown as one until the next line says no. */
  #showHead() {
    this.#clear();
    const cells = splitCells(this.#text);
    if (cells.length) this.#preview = new Table(this.#parent, cells, [], this.#labels, { isOpen: true });
  }

  /** @param {{isOpen: boolean}} state */
  #show(state) {
    if (this.#preview) this.#clear();
    if (!this.#view) {
      const host = this.#isItem ? this.#parent : this.#parent.appendChild(make("p"));
      this.#view = new InlineView(host, this.#labels);
    }
    const text = this.#isItem ? this.#text.replace(TASK, (_, mark) => (mark === " " ? "☐ " : "☑ ")) : this.#text;
    this.#view.show(text, state);
  }

  #clear() {
    this.#preview?.remove();
    if (this.#isItem) this.#parent.replaceChildren();
    else this.#view?.host.remove();
    this.#preview = this.#view = null;
  }
}

export class Heading {
  kind = "heading";
  #text;
  #view;

  /** @param {HTMLElement} parent @param {number} level @param {string} text @param {import("./nodes.js").Labels} labels */
  constructor(parent, level, text, labels) {
    const host = parent.appendChild(make(HEADINGS[Math.min(level, HEADINGS.length) - 1]));
    this.#text = text;
    this.#view = new InlineView(host, labels);
  }

  /** @param {string} piece */
  grow(piece) {
    this.#text += piece;
  }

  paint() {
    this.#view.show(this.#words(), { isOpen: true });
  }

  close() {
    this.#view.show(this.#words(), { isOpen: false });
    if (!this.#view.host.hasChildNodes()) this.#view.host.remove();
  }

  /** The text without the `##` that may close it. */
  #words() {
    const text = withoutSpaceEnd(this.#text);
    let end = text.length;
    while (text[end - 1] === "#") end -= 1;
    return end === 0 || " \t".includes(text[end - 1]) ? withoutSpaceEnd(text.slice(0, end)) : text;
  }
}
