// Paragraphs and headings: leaves that hold nothing but words.

import { splitCells, withoutSpaceEnd } from "./lines.js";
import { make } from "./nodes.js";
import { Table } from "./tables.js";
import { InlineView } from "./view.js";

const HEADINGS = ["h2", "h3", "h4"]; // the page's own title is the h1
const TASK = /^\[([ xX])\][ \t]+(?=[^ \t])/;
const UNFINISHED_TASK = /^\[(?:[ xX](?:\][ \t]*)?)?$/;

export class Paragraph {
  kind = "paragraph";
  #earlier = ""; // the lines before the last one
  #isItem;
  #labels;
  #parent;
  /** @type {Table | null} */
  #preview = null;
  /** @type {InlineView | null} */
  #view = null;

  /**
   * @param {HTMLElement} parent @param {string} text @param {import("./nodes.js").Labels} labels
   * @param {{isItem: boolean}} place `isItem`: it is the first in a list's item and needs no element of its own
   */
  constructor(parent, text, labels, { isItem }) {
    this.#parent = parent;
    this.#labels = labels;
    this.#isItem = isItem;
    this.lastLine = text;
  }

  /** @param {string} text */
  addLine(text) {
    this.#earlier += `${this.lastLine}\n`;
    this.lastLine = text;
  }

  /** @param {string} piece */
  grow(piece) {
    this.lastLine += piece;
  }

  /** Give the last line away: it turned out to be the head of a table. */
  takeLastLine() {
    const line = this.lastLine;
    this.lastLine = this.#earlier.slice(0, -1);
    this.#earlier = "";
    this.#clear();
    return line;
  }

  paint() {
    if (!this.#earlier && this.lastLine.startsWith("|")) this.#showHead();
    else this.#show({ isOpen: true });
  }

  close() {
    if (this.#earlier || this.lastLine) this.#show({ isOpen: false });
  }

  /** A first line that begins with `|` is most likely the head of a table, and is shown as one until the next line says no. */
  #showHead() {
    this.#clear();
    const cells = splitCells(this.lastLine);
    if (cells.length) this.#preview = new Table(this.#parent, cells, [], this.#labels, { isOpen: true });
  }

  /** @param {{isOpen: boolean}} state */
  #show(state) {
    let text = this.#earlier + this.lastLine;
    this.#earlier = text.slice(0, this.#earlier.length); // of one piece again, not of as many as were added
    if (this.#preview) this.#clear();
    if (this.#isItem && state.isOpen && UNFINISHED_TASK.test(text)) return;
    if (this.#isItem) text = text.replace(TASK, (_, mark) => (mark === " " ? "☐ " : "☑ "));
    this.#view ??= new InlineView(this.#isItem ? this.#parent : this.#parent.appendChild(make("p")), this.#labels);
    this.#view.show(state.isOpen ? text : withoutSpaceEnd(text), state);
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
