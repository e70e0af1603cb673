// What stands inside a paragraph, a heading or a cell: read into plain objects, from which `nodes.js` makes DOM nodes.

import { pairRuns } from "./delimiters.js";
import { findMailboxes, readTarget } from "./links.js";
import { Scan } from "./scan.js";

/**
 * @typedef {{kind: "text" | "code", text: string} | {kind: "break"}
 *   | {kind: "em" | "strong" | "del", children: InlineNode[]}
 *   | {kind: "link", target: import("./links.js").Target | null, children: InlineNode[], isImage: boolean}} InlineNode
 */

const CUT_REACH = 200; // how far back in a single stretch of words a cut is looked for
const CUT_AFTER = /[>=(){}|;,"#$^\u3001-\ud7ff\uf900-\ufefe\uff00-\uffff]/; // no address or mailbox goes on after these
const SPACE_OR_TAB = /[ \t]/;
const MAILBOX_CHARACTER = /[\w.%+@-]/;

/**
 * Read `text` from `from` on.
 * @param {string} text @param {{from?: number, isOpen?: boolean}} options  `isOpen`: more may come. Then a mark whose
 *   partner is missing is shown as if it had come, and nothing becomes a link that what comes could still change
 * @returns {{settled: InlineNode[], tail: InlineNode[], offset: number}} `settled` cannot change any more and ends at
 *   `offset`, from where to read next time; all is `tail` if `isOpen` is false
 */
export function parseInline(text, { from = 0, isOpen = false } = {}) {
  const scan = new Scan(text, from, isOpen);
  scan.run();
  const { nodes, pendingAt } = pairRuns(scan.tokens, { end: scan.sureEnd, isOpen });
  const cut = isOpen ? findCut(nodes, text, Math.min(pendingAt, scan.pendingAt)) : null;
  const head = cut ? nodes.slice(0, cut.index) : [];
  const rest = cut ? nodes.slice(cut.index) : nodes;
  if (cut && cut.offset > rest[0].at) {
    const [{ text: words, at }] = rest;
    head.push(textNode(words.slice(0, cut.offset - at)));
    rest[0] = textNode(words.slice(cut.offset - at));
  }
  return {
    settled: tidy(head, { linksBefore: Infinity, linksMailboxes: true }),
    tail: tidy(rest, { linksBefore: scan.unsureAt, linksMailboxes: !isOpen }),
    offset: cut?.offset ?? from,
  };
}

/**
 * Find the last place up to `limit` where a text can be cut in two that are read alone as they are read together.
 * @param {any[]} nodes @param {string} text @param {number} limit
 * @returns {{index: number, offset: number} | null} in which node, and where in the source: at its begin or within
 */
function findCut(nodes, text, limit) {
  for (let index = nodes.length - 1; index >= 0; index -= 1) {
    const node = nodes[index];
    if (node.at > limit) continue;
    const end = node.isRaw ? Math.min(node.at + node.text.length, limit) : node.at;
    for (let offset = end; offset > Math.max(node.at, end - CUT_REACH); offset -= 1) {
      const isBeforeSpace = SPACE_OR_TAB.test(text.charAt(offset)) && !SPACE_OR_TAB.test(text[offset - 1]);
      if (isBeforeSpace || CUT_AFTER.test(text[offset - 1])) return { index, offset };
    }
    if (index > 0 && isBoundary(nodes[index - 1], node)) return { index, offset: node.at };
  }
  return null;
}

/**
 * Tell whether two nodes can be read apart: no run, no mailbox, and no white space before a line's end reaches across.
 * @param {any} before @param {any} after
 */
function isBoundary(before, after) {
  if (before.isSplit || after.isSplit) return false;
  const last = before.char ?? (before.kind === "text" ? before.text.slice(-1) : "");
  const first = after.char ?? (after.kind === "text" ? after.text.charAt(0) : "");
  return !SPACE_OR_TAB.test(last) && !(MAILBOX_CHARACTER.test(last) && MAILBOX_CHARACTER.test(first));
}

/**
 * Join neighbouring words, turn marks that found no partner into words, and link bare mailboxes.
 * @param {any[]} tokens @param {{linksBefore: number, linksMailboxes: boolean}} options @returns {InlineNode[]}
 */
function tidy(tokens, options) {
  /** @type {InlineNode[]} */
  const nodes = [];
  let words = "";
  const flush = () => {
    if (!words) return;
    for (const node of options.linksMailboxes ? withMailboxes(words) : [textNode(words)]) nodes.push(node);
    words = "";
  };
  for (const token of tokens) {
    const { kind, text, isImage } = token;
    if (kind === "run") words += token.char.repeat(token.left);
    else if (kind === "text") words += text;
    else {
      flush();
      if (kind === "break") nodes.push({ kind });
      else if (kind === "code") nodes.push({ kind, text });
      else if (kind === "link") {
        const target = token.at < options.linksBefore ? token.target : null;
        nodes.push({ kind, target, isImage, children: tidy(token.children, { ...options, linksMailboxes: false }) });
      } else nodes.push({ kind, children: tidy(token.children, options) });
    }
  }
  flush();
  return nodes;
}

/** @param {string} text @returns {InlineNode} */
function textNode(text) {
  return { kind: "text", text };
}

/** @param {string} words @returns {InlineNode[]} */
function withMailboxes(words) {
  /** @type {InlineNode[]} */
  const nodes = [];
  let from = 0;
  for (const { at, end } of findMailboxes(words)) {
    const target = readTarget(`mailto:${words.slice(at, end)}`);
    if (at > from) nodes.push(textNode(words.slice(from, at)));
    nodes.push({ kind: "link", target, isImage: false, children: [textNode(words.slice(at, end))] });
    from = end;
  }
  if (from < words.length) nodes.push(textNode(words.slice(from)));
  return nodes;
}

/** The words of some nodes, without any mark. @param {InlineNode[]} nodes @returns {string} */
export function wordsOf(nodes) {
  return nodes.map((node) => ("children" in node ? wordsOf(node.children) : "text" in node ? node.text : "\n")).join("");
}
