// What a screen reader should say of a piece of an answer.

import { parseInline, wordsOf } from "./inline.js";
import { readDelimiterRow, readFence, readHeading, readMarker, readRule, splitCells } from "./lines.js";

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
  const text = withoutMarks(line);
  if (readRule(text, true) || readDelimiterRow(text, true)) return "";
  const cells = text.startsWith("|") ? splitCells(text) : [text];
  return cells.map((cell) => wordsOf(parseInline(cell).tail).replace(LEFT_OVER, "").trim()).join(", ");
}

/** Leave out the marks of quotes, headings and lists; the numbers of a list stay. @param {string} line */
function withoutMarks(line) {
  let text = line.trim();
  for (let isMarked = true; isMarked; ) {
    const heading = readHeading(text, true);
    const marker = readRule(text, true) ? null : readMarker(text, true, false);
    const size = text.startsWith(">") ? 1 : marker && typeof marker === "object" && marker.start === null ? marker.size : 0;
    isMarked = size > 0;
    if (isMarked) text = text.slice(size).trimStart();
    else if (heading && typeof heading === "object") text = heading.text;
  }
  return text;
}
