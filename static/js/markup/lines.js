// How a single line begins. Every question here may be asked of a line of which only the first part has come: the answer
// is then `WAIT` when the rest could still turn it, and what is answered otherwise stays true however the line goes on.

export const WAIT = Symbol("more of the line must come");

/** Walks over the white space at the front of a line; a tab reaches to the next multiple of four columns. */
export class Cursor {
  #at = 0;
  #column = 0;
  #line;
  #pad = 0; // columns of a tab that is taken in part

  /** @param {string} line */
  constructor(line) {
    this.#line = line;
  }

  /** What stands ahead: columns of white space, and the first character after it, empty at the end of the line. */
  look() {
    let column = this.#column + this.#pad;
    let at = this.#at;
    for (; this.#line[at] === " " || this.#line[at] === "\t"; at += 1) column += this.#line[at] === " " ? 1 : 4 - (column % 4);
    return { indent: column - this.#column, next: this.#line.charAt(at) };
  }

  /** Take at most so many columns of white space. @param {number} columns */
  skip(columns) {
    for (let left = columns; left > 0; left -= 1) {
      if (this.#pad === 0) {
        if (this.#line[this.#at] === "\t") this.#pad = 4 - (this.#column % 4);
        else if (this.#line[this.#at] !== " ") return;
        else this.#pad = 1;
        this.#at += 1;
      }
      this.#pad -= 1;
      this.#column += 1;
    }
  }

  /** Take characters that are no white space. @param {number} count */
  take(count) {
    this.#at += count;
    this.#column += count;
  }

  rest() {
    return " ".repeat(this.#pad) + this.#line.slice(this.#at);
  }
}

/** `# Title`: an empty heading is none. @param {string} rest @param {boolean} isWhole */
export function readHeading(rest, isWhole) {
  const found = /^(#{1,6})[ \t]+(?=[^ \t])/.exec(rest);
  if (found) return { level: found[1].length, text: rest.slice(found[0].length) };
  return !isWhole && /^#{1,6}[ \t]*$/.test(rest) ? WAIT : null;
}

/** @param {string} rest @param {boolean} isWhole */
export function readFence(rest, isWhole) {
  if (!isWhole) return /^(?:`{1,2}$|`{3,}[^`]*$|~~?$|~{3,})/.test(rest) ? WAIT : null;
  const found = /^(`{3,})([^`]*)$|^(~{3,})(.*)$/.exec(rest);
  if (!found) return null;
  const [, ticks, afterTicks, tildes, afterTildes] = found;
  const mark = ticks ?? tildes;
  return { mark: mark[0], size: mark.length, language: (afterTicks ?? afterTildes).trim().split(/[ \t]/, 1)[0] };
}

/** @param {string} rest @param {boolean} isWhole @param {{mark: string, size: number}} fence */
export function readFenceEnd(rest, isWhole, { mark, size }) {
  const found = /^(`+|~+)[ \t]*$/.exec(rest);
  if (found?.[1][0] !== mark) return null;
  return isWhole ? (found[1].length >= size ? true : null) : WAIT;
}

/** `---`, `* * *`; also under a paragraph, where models mean a rule and no heading. @param {string} rest @param {boolean} isWhole */
export function readRule(rest, isWhole) {
  const found = /^([-*_])((?:[ \t]*\1)*)[ \t]*$/.exec(rest);
  if (!found || !isWhole) return found ? WAIT : null;
  return found[2].replace(/[ \t]/g, "").length >= 2 ? {} : null;
}

/**
 * `- item`, `1. item`. Inside a paragraph only an item with text begins a list, and only one that counts from 1.
 * @param {string} rest @param {boolean} isWhole @param {boolean} isInParagraph
 * @returns {{mark: string, start: number | null, size: number} | typeof WAIT | null} `start` is null without a number
 */
export function readMarker(rest, isWhole, isInParagraph) {
  const found = /^(?:[-+*]|(\d{1,9})([.)]))/.exec(rest);
  if (!found) return !isWhole && (isInParagraph ? /^1$/ : /^\d{1,9}$/).test(rest) ? WAIT : null;
  const [{ length: size }, number, sign] = found;
  if (isInParagraph && number !== undefined && number !== "1") return null;
  const after = rest.slice(size);
  if (after && !/^[ \t]/.test(after)) return null;
  if (/^[ \t]*$/.test(after) && (!isWhole || isInParagraph)) return isWhole ? null : WAIT;
  return { mark: sign ?? found[0], start: number === undefined ? null : Number(number), size };
}

const COLUMNS_MAX = 50;

/**
 * `| --- | :-: | ---: |`, the line under a table's head.
 * @param {string} rest @param {boolean} isWhole
 * @returns {(string | null)[] | typeof WAIT | null} an alignment for each column, null where none is said
 */
export function readDelimiterRow(rest, isWhole) {
  if (!isWhole) return /^[|:\- \t]+$/.test(rest) ? WAIT : null;
  if (!rest.includes("|") || !/^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/.test(rest)) return null;
  const cells = splitCells(rest);
  if (cells.length > COLUMNS_MAX) return null;
  return cells.map((cell) => {
    const [left, right] = [cell.startsWith(":"), cell.endsWith(":")];
    return left && right ? "center" : right ? "right" : left ? "left" : null;
  });
}

/**
 * Split a row of a table. More cells than `most` stay together in the last one: no word is lost.
 * @param {string} row @param {number} most @returns {string[]}
 */
export function splitCells(row, most = COLUMNS_MAX + 1) {
  const text = row.trim();
  /** @type {string[]} */
  const cells = [];
  let from = text.startsWith("|") ? 1 : 0;
  for (let at = from; at < text.length && cells.length < most - 1; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === "|") {
      cells.push(text.slice(from, at));
      from = at + 1;
    }
  }
  const last = text.slice(from);
  if (last.trim()) cells.push(last.endsWith("|") && !last.endsWith("\\|") ? last.slice(0, -1) : last);
  return cells.map((cell) => cell.trim().replaceAll("\\|", "|"));
}

/**
 * Leave out spaces and tabs at the end (and no other white space: a text may be cut after that).
 * @param {string} text
 */
export function withoutSpaceEnd(text) {
  let end = text.length;
  while (end > 0 && (text[end - 1] === " " || text[end - 1] === "\t")) end -= 1;
  return text.slice(0, end);
}
