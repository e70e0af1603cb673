// What a screen reader should say of a piece of an answer.

import { parseInline, wordsOf } from "./inline.js";
import { readDelimiterRow, readFence, readHeading, readMarker, readRule, splitCells } from "./lines.js";

const DEPTH_MAX = 16;
const LEFT_OVER = /\*\*|__|~~|`+/g; // the other half stands in another piece

/**
 * Strip the marks of Markdown from a piece of an answer, such as a sentence; it may be cut anywhere.
 * @param {string} text @returns {string} its words, a line for each line that has some
 */
export function speakable(text) {
  /** @type {any} */
  let fence = null;
  const spoken = [];
  for (const line of text.split(/\r\n?|\n/)) {
    const mark = readFence(line.trim(), true);
    if (mark) fence = fence ? null : mark;
    else spoken.push(fence ? line.trim() : speakLine(line));
  }
  return spoken.filter(Boolean).join("\n");
}

/** @param {string} line */
function speakLine(line) {
  const text = withoutMarks(line.trim());
  if (readRule(text, true) || readDelimiterRow(text, true)) return "";
  const cells = text.startsWith("|") ? splitCells(text) : [text];
  return cells.map((cell) => wordsOf(parseInline(cell).tail).replace(LEFT_OVER, "").trim()).join(", ");
}

/** Leave out the marks of quotes, lists and headings; the numbers of a list stay. @param {string} line */
function withoutMarks(line) {
  let text = line;
  for (let depth = 0; depth < DEPTH_MAX && !readRule(text, true); depth += 1) {
    const mark = text.startsWith(">") ? { start: null, size: 1 } : readMarker(text, true, false);
    if (!isRead(mark) || mark.start !== null) break;
    text = text.slice(mark.size).trimStart();
  }
  const heading = readHeading(text, true);
  return isRead(heading) ? heading.text : text;
}

/** @template T @param {T} read @returns {read is Exclude<T, null | symbol>} */
function isRead(read) {
  return typeof read === "object" && read !== null;
}
