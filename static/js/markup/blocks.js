// Puts lines into blocks. Containers (quotes, lists, items) are open on a stack, and at most one leaf (a paragraph, a
// table, some code) is open in the innermost: only it changes when text comes, all that is closed stays as it is.

import { Code } from "./code.js";
import {
  Cursor, readDelimiterRow, readFence, readFenceEnd, readHeading, readMarker, readRule, splitCells, WAIT,
} from "./lines.js";
import { make } from "./nodes.js";
import { Heading, Paragraph } from "./paragraphs.js";
import { Table } from "./tables.js";

const OPEN_MAX = 32; // containers inside each other; a list inside a list takes two: itself and its item

/**
 * @typedef {{kind: "root" | "quote" | "list" | "item", element: HTMLElement, isEmpty: boolean,
 *   mark?: string, isOrdered?: boolean, offset?: number}} Container
 * @typedef {{kind: "quote" | "item", mark?: string, start?: number | null, offset?: number}} Opening
 * @typedef {object} Plan  what a line does
 * @property {"blank" | "rule" | "heading" | "fence" | "fence end" | "indented" | "table" | "text"} kind
 * @property {boolean} goesOn       it belongs to the open leaf
 * @property {number} matched       containers that stay open
 * @property {Opening[]} openings   containers that it opens in them
 * @property {string} text
 * @property {any} [start]          what was read of a block that begins
 */

export class Blocks {
  /** @type {any} */
  #leaf = null;
  #labels;
  /** @type {Container[]} */
  #stack;

  /** @param {HTMLElement} container @param {import("./nodes.js").Labels} labels */
  constructor(container, labels) {
    this.#stack = [{ kind: "root", element: container, isEmpty: true }];
    this.#labels = labels;
  }

  /**
   * Take a line, or the first part of one.
   * @param {string} line @param {{isWhole: boolean}} state
   * @returns {boolean} false: nothing is done yet, more of the line must come to know what it is
   */
  take(line, { isWhole }) {
    const plan = this.#plan(line, isWhole);
    if (plan) this.#carryOut(plan);
    return plan !== null;
  }

  /** Add to a line that was taken in part. @param {string} piece */
  grow(piece) {
    this.#leaf.grow(piece);
  }

  /** Show what has come. */
  paint() {
    this.#leaf?.paint();
  }

  close() {
    this.#leaf?.close();
    this.#leaf = null;
  }

  /** @param {string} line @param {boolean} isWhole @returns {Plan | null} null: more must come */
  #plan(line, isWhole) {
    const cursor = new Cursor(line);
    const matched = this.#match(cursor, isWhole);
    if (matched === WAIT) return null;
    const isInside = matched === this.#stack.length;
    if (isInside && this.#leaf?.kind === "fence") return this.#planInFence(cursor, isWhole, matched);

    /** @type {Opening[]} */
    const openings = [];
    for (;;) {
      const { indent, next } = cursor.look();
      const leaf = openings.length ? null : this.#leaf;
      const isInParagraph = leaf?.kind === "paragraph"; // perhaps lazily, without the marks of its containers
      const isInTable = isInside && leaf?.kind === "table";
      const isInIndented = isInside && leaf?.kind === "indented";
      const plan = { matched, openings, goesOn: false, text: "" };
      if (!next) return isWhole ? { ...plan, kind: "blank", goesOn: isInIndented } : null;
      if (indent >= 4 && !isInParagraph && !isInTable) {
        cursor.skip(4);
        return { ...plan, kind: "indented", text: cursor.rest(), goesOn: isInIndented };
      }
      cursor.skip(indent);
      const text = cursor.rest();
      const depth = matched + 2 * openings.length;
      const start = indent < 4 ? this.#readStart(text, isWhole, isInside ? leaf : null, depth) : null;
      if (start === WAIT || (start?.kind === "quote" && !isWhole && text.length === 1)) return null;
      if (!start) return { ...plan, kind: "text", text, goesOn: isInParagraph || isInTable };
      if (start.kind === "quote") {
        takeQuoteMark(cursor);
        openings.push(start);
      } else if (start.kind === "item") {
        openings.push({ ...start, offset: indent + takeItemMark(cursor, start.size) });
      } else {
        return { ...plan, kind: start.kind, start: { ...start, indent }, text: start.text ?? "" };
      }
    }
  }

  /**
   * Find how many of the open containers the line continues, and walk over their marks.
   * @param {Cursor} cursor @param {boolean} isWhole @returns {number | typeof WAIT}
   */
  #match(cursor, isWhole) {
    let matched = 1;
    for (; matched < this.#stack.length; matched += 1) {
      const { kind, isEmpty, offset = 0 } = this.#stack[matched];
      if (kind === "list") continue;
      const { indent, next } = cursor.look();
      if (!next && !isWhole) return WAIT;
      if (kind === "quote") {
        if (indent > 3 || next !== ">") break;
        cursor.skip(indent);
        if (!isWhole && cursor.rest().length === 1) return WAIT;
        takeQuoteMark(cursor);
      } else {
        if (next ? indent < offset : isEmpty) break;
        cursor.skip(offset);
      }
    }
    return matched;
  }

  /** @param {Cursor} cursor @param {boolean} isWhole @param {number} matched @returns {Plan | null} */
  #planInFence(cursor, isWhole, matched) {
    const { indent, next } = cursor.look();
    if (!next && !isWhole) return null;
    const end = indent < 4 ? readFenceEnd(cursor.rest().slice(indent), isWhole, this.#leaf.fence) : null;
    if (end === WAIT) return null;
    cursor.skip(Math.min(indent, this.#leaf.fence.indent));
    return { kind: end ? "fence end" : "text", goesOn: !end, matched, openings: [], text: cursor.rest() };
  }

  /**
   * @param {string} text @param {boolean} isWhole @param {any} leaf the open one, if the line may go on with it
   * @param {number} depth containers around it
   */
  #readStart(text, isWhole, leaf, depth) {
    const isInParagraph = leaf?.kind === "paragraph";
    if (isInParagraph && leaf.lastLine.includes("|")) {
      const alignments = readDelimiterRow(text, isWhole);
      if (alignments === WAIT) return WAIT;
      if (alignments && alignments.length === splitCells(leaf.lastLine).length) return { kind: "table", alignments };
    }
    const canNest = depth < OPEN_MAX;
    if (canNest && text.startsWith(">")) return { kind: "quote" };
    return (
      named("heading", readHeading(text, isWhole)) ??
      named("fence", readFence(text, isWhole)) ??
      named("rule", readRule(text, isWhole)) ??
      (canNest ? named("item", readMarker(text, isWhole, isInParagraph)) : null)
    );
  }

  /** @param {Plan} plan */
  #carryOut({ kind, goesOn, matched, openings, text, start }) {
    if (goesOn) {
      this.#leaf.addLine(text);
      return;
    }
    const head = kind === "table" ? splitCells(this.#leaf.takeLastLine()) : [];
    this.close();
    this.#stack.length = matched;
    openings.forEach((opening) => this.#open(opening));
    if (kind === "blank" || kind === "fence end") return;
    if (this.#top().kind === "list") this.#stack.pop();
    const parent = this.#top();
    const isFirst = parent.isEmpty;
    parent.isEmpty = false;
    if (kind === "rule") parent.element.append(make("hr"));
    else if (kind === "heading") this.#leaf = new Heading(parent.element, start.level, text, this.#labels);
    else if (kind === "table") this.#leaf = new Table(parent.element, head, start.alignments, this.#labels);
    else if (kind === "text") this.#leaf = new Paragraph(parent.element, text, this.#labels, { isItem: isFirst && parent.kind === "item" });
    else this.#leaf = new Code(parent.element, this.#labels, kind === "fence" ? start : null);
    if (kind === "indented") this.#leaf.addLine(text);
  }

  /** @param {Opening} opening */
  #open(opening) {
    const isItem = opening.kind === "item";
    const isSameList = isItem && this.#top().mark === opening.mark && this.#top().isOrdered === (opening.start !== null);
    if (this.#top().kind === "list" && !isSameList) this.#stack.pop();
    if (isItem && this.#top().kind !== "list") {
      const isOrdered = opening.start !== null;
      const count = isOrdered && opening.start !== 1 ? { start: String(opening.start) } : {};
      this.#push({ kind: "list", element: make(isOrdered ? "ol" : "ul", count), isEmpty: true, mark: opening.mark, isOrdered });
    }
    const element = make(isItem ? "li" : "blockquote");
    this.#push({ kind: opening.kind, element, isEmpty: true, offset: isItem ? opening.offset : 0 });
  }

  /** @param {Container} container */
  #push(container) {
    const parent = this.#top();
    parent.isEmpty = false;
    parent.element.append(container.element);
    this.#stack.push(container);
  }

  #top() {
    return this.#stack[this.#stack.length - 1];
  }
}

/** @param {Cursor} cursor */
function takeQuoteMark(cursor) {
  cursor.take(1);
  cursor.skip(1);
}

/** Take an item's mark and the space after it. @param {Cursor} cursor @param {number} size @returns {number} columns taken */
function takeItemMark(cursor, size) {
  cursor.take(size);
  const { indent, next } = cursor.look();
  const gap = !next || indent > 4 ? 1 : indent;
  cursor.skip(gap);
  return size + gap;
}

/** @param {string} kind @param {any} read */
function named(kind, read) {
  return typeof read === "object" && read ? { ...read, kind } : read;
}
