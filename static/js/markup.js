/**
 * Shows the text of an answer, which a model wrote in Markdown, as DOM nodes from an allow list, while it still grows.
 *
 * What differs from CommonMark, on purpose: HTML is shown as the text it is; images are shown as their description and
 * never fetched; a line break is a line break; a line of dashes is always a rule; references (`[a][b]`) stay text; an
 * address needs its scheme to be a link.
 */

import { Blocks } from "./markup/blocks.js";

export { speakable } from "./markup/speakable.js";

const LINE_END = /\r\n?|\n/g;
const PATIENCE = 1000; // a line that keeps us waiting longer than this is looked at again each time it has doubled

/** @typedef {import("./markup/nodes.js").Labels} Labels */

export class MarkupStream {
  #blocks;
  #hasReturn = false; // the last character was a carriage return: a line feed after it says nothing new
  #isFinished = false;
  #isGrowing = false; // the last line is taken, and what comes belongs to it
  #line = ""; // or it is not taken yet
  #lookAgainAt = 0;
  #text = "";

  /**
   * @param {HTMLElement} container may hold a caret wherever the page likes, but none while one of these methods runs
   * @param {{labels: Labels}} options
   */
  constructor(container, { labels }) {
    this.#blocks = new Blocks(container, labels);
  }

  /** All that was appended, as it was written. */
  get text() {
    return this.#text;
  }

  /** Add a piece, cut anywhere. @param {string} text */
  append(text) {
    if (this.#isFinished) throw new Error("The text is finished; show another one in a new stream.");
    if (!text) return;
    this.#text += text;
    const written = (this.#hasReturn && text.startsWith("\n") ? text.slice(1) : text).replaceAll("\0", "\ufffd");
    let from = 0;
    for (const { index, 0: end } of written.matchAll(LINE_END)) {
      this.#take(written.slice(from, index), { isWhole: true });
      from = index + end.length;
    }
    if (from < written.length) this.#take(written.slice(from), { isWhole: false });
    this.#hasReturn = text.endsWith("\r");
    this.#blocks.paint();
  }

  /** Nothing more comes: what is shown is now the same as if all had come at once. */
  finish() {
    if (this.#isFinished) return;
    this.#isFinished = true;
    if (this.#line) this.#blocks.take(this.#line, { isWhole: true });
    this.#blocks.close();
  }

  /** @param {string} piece @param {{isWhole: boolean}} state `isWhole`: it ends its line */
  #take(piece, state) {
    if (this.#isGrowing) {
      this.#blocks.grow(piece);
      this.#isGrowing = !state.isWhole;
      return;
    }
    this.#line += piece;
    if (!state.isWhole && this.#line.length < this.#lookAgainAt) return;
    const isTaken = this.#blocks.take(this.#line, state);
    this.#isGrowing = isTaken && !state.isWhole;
    this.#lookAgainAt = isTaken || this.#line.length < PATIENCE ? 0 : 2 * this.#line.length;
    if (isTaken) this.#line = "";
  }
}

/**
 * Show a whole text in place of what the container holds.
 * @param {HTMLElement} container @param {string} text @param {{labels: Labels}} options
 */
export function renderMarkup(container, text, { labels }) {
  container.replaceChildren();
  const stream = new MarkupStream(container, { labels });
  stream.append(text);
  stream.finish();
}
