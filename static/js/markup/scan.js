// One walk over the text of a paragraph that finds everything but emphasis: code, links, references, escapes, line breaks.
// The cost is linear: a mark looks at most REACH characters for its partner, and at most BRACKETS_MAX brackets are open.

import { pairRuns, readRun, REACH } from "./delimiters.js";
import { readReference, unescapeText } from "./entities.js";
import { withoutSpaceEnd } from "./lines.js";
import { readBareAddress, readTarget } from "./links.js";

/**
 * @typedef {object} Token  begins at `at` in the source
 * @property {"text" | "code" | "break" | "link" | "em" | "strong" | "del"} kind
 * @property {number} at
 * @property {string} [text]         what is shown
 * @property {boolean} [isRaw]       the source says it in the same characters
 * @property {(Token | import("./delimiters.js").Run)[]} [children]
 * @property {import("./links.js").Target | null} [target]
 * @property {boolean} [isImage]
 * @property {boolean} [isSplit]     it begins within a run of marks
 * @property {number} [depth]        elements inside each other, of emphasis
 */

const SPECIAL = /[\\`*_~[\]<&\n]|!\[|:\/\/|www\./gi;
const UNFINISHED_END = /(?:[*_~`]+|\\|&#?[0-9A-Za-z]{0,31}|!?\[|<|[\ud800-\udbff])$/;
const UNFINISHED_AUTOLINK = /<[^\s<>]{0,2040}$/y;
const AUTOLINK = /<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>\x00-\x1f]{0,2000}|[\w.%+-]{1,64}@[\w.-]{1,255})>/y;
const CODE_PROMISE = 100; // a code span without an end is shown as one while it is at most this long
const BRACKETS_MAX = 32;
const PUNCTUATION = /[!-/:-@[-`{-~]/;

export class Scan {
  /** @param {string} text @param {number} from @param {boolean} isOpen */
  constructor(text, from, isOpen) {
    const unfinished = isOpen ? UNFINISHED_END.exec(text.slice(Math.max(from, text.length - 40))) : null;
    this.end = text.length - (unfinished?.[0].length ?? 0);
    this.text = text.slice(0, this.end);
    this.at = from;
    this.isOpen = isOpen;
    /** @type {(Token | import("./delimiters.js").Run)[]} */
    this.tokens = [];
    /** The first place that what comes next may still change. */
    this.pendingAt = unfinished ? this.end : Infinity;
    /** The first place from which links may still turn into code or into the words of another link. */
    this.unsureAt = Infinity;
    /** @type {{token: any, index: number, at: number, isImage: boolean, isActive: boolean}[]} */
    this.brackets = [];
    /** @type {Map<number, number[]> | null} places of the runs of backticks, by length, the last one first */
    this.ticks = null;
  }

  run() {
    while (this.at < this.end) {
      SPECIAL.lastIndex = this.at;
      const found = SPECIAL.exec(this.text);
      if (!found) break;
      this.#special(found[0], found.index);
    }
    this.#raw(this.end);
    for (const { token, at } of this.isOpen ? this.#openBrackets() : []) {
      token.text = "";
      this.#isUnsureFrom(at);
    }
  }

  /** Where what is sure ends: from here on other marks may be found than were found now. */
  get sureEnd() {
    return Math.min(this.end, this.pendingAt);
  }

  /** The brackets that may still begin a link. */
  #openBrackets() {
    return this.brackets.filter(({ at, isActive, isImage }) => (isActive || isImage) && this.sureEnd - at <= REACH);
  }

  /** @param {number} at */
  #isPendingFrom(at) {
    this.pendingAt = Math.min(this.pendingAt, at);
  }

  /** Brackets that are open here will be again, should what follows turn out to be code. @param {number} at */
  #isUnsureFrom(at) {
    this.#isPendingFrom(at);
    const first = Math.min(at, ...this.#openBrackets().map((bracket) => bracket.at));
    this.#isPendingFrom(first);
    this.unsureAt = Math.min(this.unsureAt, first);
  }

  /** @param {string} mark @param {number} at */
  #special(mark, at) {
    if (mark === "://") {
      const scheme = /https?$/i.exec(this.text.slice(Math.max(this.at, at - 5), at))?.[0] ?? "";
      return this.#bareAddress(at - scheme.length, at + 1);
    }
    if (mark.toLowerCase() === "www.") return this.#bareAddress(at, at + 4);
    this.#raw(at);
    if (mark === "\\") this.#escape();
    else if (mark === "`") this.#code();
    else if (mark === "[" || mark === "![") this.#bracket(mark);
    else if (mark === "]") this.#closeBracket();
    else if (mark === "<") this.#autolink();
    else if (mark === "&") this.#reference();
    else if (mark === "\n") this.#break(1);
    else this.#emphasis(mark);
  }

  /** Take the characters up to `end` as they are. @param {number} end */
  #raw(end) {
    if (end > this.at) this.tokens.push({ kind: "text", text: this.text.slice(this.at, end), at: this.at, isRaw: true });
    this.at = Math.max(this.at, end);
  }

  /** @param {string} text what is shown @param {number} size what it takes in the source */
  #words(text, size) {
    this.tokens.push(words(text, this.at));
    this.at += size;
  }

  #escape() {
    const next = this.text.charAt(this.at + 1);
    if (next === "\n") this.#break(2);
    else if (PUNCTUATION.test(next)) this.#words(next, 2);
    else this.#words("\\", 1);
  }

  /** @param {number} size */
  #break(size) {
    const last = this.tokens.at(-1);
    if (last?.isRaw) last.text = withoutSpaceEnd(last.text);
    this.tokens.push({ kind: "break", at: this.at });
    this.at += size;
  }

  #reference() {
    const read = readReference(this.text, this.at);
    this.#words(read?.text ?? "&", read ? read.end - this.at : 1);
  }

  /** @param {string} char */
  #emphasis(char) {
    let end = this.at + 1;
    while (this.text[end] === char) end += 1;
    this.tokens.push(readRun(this.text, this.at, end - this.at));
    this.at = end;
  }

  #code() {
    const start = this.at;
    let inside = start + 1;
    while (this.text[inside] === "`") inside += 1;
    const size = inside - start;
    const close = this.#nextTicks(size, inside);
    if (close !== undefined && close - start <= REACH) {
      this.tokens.push({ kind: "code", text: codeText(this.text.slice(inside, close)), at: start });
      this.at = close + size;
      return;
    }
    if (this.isOpen && this.sureEnd - start <= REACH) {
      this.#isUnsureFrom(start);
      const rest = this.text.slice(inside);
      if (rest && rest.length <= CODE_PROMISE && !rest.includes("\n")) {
        this.tokens.push({ kind: "code", text: codeText(rest), at: start });
        this.at = this.end;
        return;
      }
    }
    this.#words("`".repeat(size), size);
  }

  /** @param {number} size @param {number} from @returns {number | undefined} */
  #nextTicks(size, from) {
    if (!this.ticks) {
      this.ticks = new Map();
      for (const { index, 0: ticks } of [...this.text.slice(from).matchAll(/`+/g)].reverse()) {
        const places = this.ticks.get(ticks.length) ?? [];
        places.push(from + index);
        this.ticks.set(ticks.length, places);
      }
    }
    const places = this.ticks.get(size) ?? [];
    while (places.length && places[places.length - 1] < from) places.pop();
    return places.at(-1);
  }

  /** @param {string} mark */
  #bracket(mark) {
    const token = words(mark, this.at);
    this.brackets.push({ token, index: this.tokens.length, at: this.at, isImage: mark !== "[", isActive: true });
    if (this.brackets.length > BRACKETS_MAX) this.brackets.shift();
    this.tokens.push(token);
    this.at += mark.length;
  }

  #closeBracket() {
    const opener = this.brackets.pop();
    if (!opener || !(opener.isActive || opener.isImage) || this.at - opener.at > REACH) return this.#words("]", 1);
    const read = this.at + 1 === this.end ? "unfinished" : readAddress(this.text, this.at + 1);
    if (read === "unfinished" && this.isOpen) {
      opener.token.text = "";
      this.#isUnsureFrom(opener.at);
      this.at = this.end;
    } else if (read === null || read === "unfinished") {
      this.#words("]", 1);
    } else {
      const children = pairRuns(this.tokens.splice(opener.index).slice(1), { end: this.at, isOpen: false }).nodes;
      if (!opener.isImage) this.brackets.forEach((outer) => (outer.isActive = false));
      this.at = opener.at;
      this.#link(read.address, opener.isImage ? children : withoutLinks(children), read.end, opener.isImage);
    }
  }

  #autolink() {
    AUTOLINK.lastIndex = UNFINISHED_AUTOLINK.lastIndex = this.at;
    const address = AUTOLINK.exec(this.text)?.[1] ?? "";
    const href = address.includes(":") ? address : `mailto:${address}`;
    if (address && readTarget(href)) {
      this.#link(href, [words(address, this.at + 1)], this.at + address.length + 2, false);
      return;
    }
    const isUnfinished = this.isOpen && UNFINISHED_AUTOLINK.test(this.text);
    if (isUnfinished) this.#isUnsureFrom(this.at);
    this.#words(isUnfinished && startsAddress(this.text.slice(this.at + 1)) ? "" : "<", 1);
  }

  /** @param {number} start of what may be an address @param {number} next where to go on if it is none */
  #bareAddress(start, next) {
    const read = readBareAddress(this.text, start);
    if (!read) return this.#raw(next);
    this.#raw(start);
    if (this.isOpen && read.isAtEnd) {
      this.#isPendingFrom(start);
      this.#words(this.text.slice(start), this.end - start);
    } else if (readTarget(read.address)) {
      this.#link(read.address, [words(read.words, start)], read.end, false);
    } else {
      this.#raw(read.address ? next : read.end);
    }
  }

  /** @param {string} address @param {any[]} children @param {number} end @param {boolean} isImage */
  #link(address, children, end, isImage) {
    this.tokens.push({ kind: "link", target: readTarget(address), children, isImage, at: this.at });
    this.at = end;
  }
}

/** @param {string} text what has come of it */
function startsAddress(text) {
  return ["http:", "https:", "mailto:", "tel:"].some((scheme) => text.startsWith(scheme) || scheme.startsWith(text));
}

/**
 * Read `(address "title")`; the title is not used, it could say another place than the address.
 * @param {string} text @param {number} at where `(` has to stand
 * @returns {{address: string, end: number} | "unfinished" | null}
 */
function readAddress(text, at) {
  if (text[at] !== "(") return null;
  const start = skipSpace(text, at + 1);
  const isPointed = text[start] === "<";
  let place = isPointed ? start + 1 : start;
  for (let depth = 0; ; place += 1) {
    const char = text.charAt(place);
    if (char === "") return "unfinished";
    if (place - start > REACH) return null;
    if (char === "\\" && PUNCTUATION.test(text.charAt(place + 1))) place += 1;
    else if (isPointed && char === ">") break;
    else if (isPointed ? "<\n".includes(char) : char < " " && !" \t\n".includes(char)) return null;
    else if (isPointed) continue;
    else if (" \t\n".includes(char)) break;
    else if (char === "(" && ++depth > BRACKETS_MAX) return null;
    else if (char === ")" && --depth < 0) break;
  }
  return readTitle(text, start, isPointed ? place + 1 : place);
}

/** @param {string} text @param {number} start of the address @param {number} end of the address */
function readTitle(text, start, end) {
  const written = text.slice(start, end);
  const address = unescapeText(written.startsWith("<") ? written.slice(1, -1) : written);
  let place = skipSpace(text, end);
  const quote = { '"': '"', "'": "'", "(": ")" }[text.charAt(place)];
  if (quote && place > end) {
    for (place += 1; text.charAt(place) !== quote; place += 1) {
      if (place >= text.length) return "unfinished";
      if (place - end > REACH) return null;
      if (text[place] === "\\") place += 1;
    }
    place = skipSpace(text, place + 1);
  }
  if (place >= text.length) return "unfinished";
  return text[place] === ")" ? { address, end: place + 1 } : null;
}

/** @param {string} text @param {number} at */
function skipSpace(text, at) {
  while (at < text.length && " \t\n".includes(text[at])) at += 1;
  return at;
}

/** @param {string} written */
function codeText(written) {
  const text = written.replaceAll("\n", " ");
  return /^ .* $/.test(text) && text.trim() ? text.slice(1, -1) : text;
}

/** A link holds no link: what stands inside is its words. @param {any[]} nodes @returns {any[]} */
function withoutLinks(nodes) {
  return nodes.flatMap((node) => {
    if (node.kind === "link" && !node.isImage) return node.children;
    return node.children ? [{ ...node, children: withoutLinks(node.children) }] : [node];
  });
}

/** @param {string} text @param {number} at @returns {Token} */
function words(text, at) {
  return { kind: "text", text, at };
}
