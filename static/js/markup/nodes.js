// The only place that makes elements and attributes for the text of a message: from an allow list, never from markup.

import { wordsOf } from "./inline.js";
import { isEvident } from "./links.js";

/**
 * @typedef {object} Labels
 * @property {string} copy    on the button of a code block
 * @property {string} copied  on it, for two seconds after it was pressed
 * @property {string} code    names a code block whose language is not known
 * @property {(host: string) => string} opensHost  a sentence for the pointer that rests on a link to another host
 */

const ELEMENTS = new Set(
  "a bdi blockquote br button code del div em h2 h3 h4 header hr li ol p pre span strong table tbody td th thead tr ul".split(" "),
);
const ATTRIBUTES = new Set("aria-label class dir href rel role scope start tabindex target title type".split(" "));
const TEXT_MAX = 2000; // a longer node is not added to: each addition copies it
const SHORT_CODE = 24; // a code this short does not break over two lines

/**
 * @param {string} name @param {Record<string, string>} attributes @param {(Node | string)[]} children
 * @returns {HTMLElement}
 */
export function make(name, attributes = {}, ...children) {
  if (!ELEMENTS.has(name)) throw new TypeError(`A message may not hold \`${name}\`.`);
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (!ATTRIBUTES.has(attribute)) throw new TypeError(`A message may not set \`${attribute}\`.`);
    element.setAttribute(attribute, value);
  }
  element.append(...children);
  return element;
}

/**
 * @param {Node} parent @param {import("./inline.js").InlineNode[]} nodes
 * @param {Labels} labels @param {{isInLink?: boolean}} place
 */
export function appendNodes(parent, nodes, labels, { isInLink = false } = {}) {
  for (const node of nodes) {
    if (node.kind === "text") appendText(parent, node.text);
    else if (node.kind === "break") parent.appendChild(make("br")), appendText(parent, "\n");
    else if (node.kind === "code") {
      const isShort = node.text.length <= SHORT_CODE;
      parent.appendChild(make("code", isShort ? { class: "short" } : {}, node.text));
    } else if (node.kind !== "link") {
      const element = make(node.kind);
      appendNodes(element, node.children, labels, { isInLink });
      parent.appendChild(element);
    } else if (node.target && !isInLink) {
      parent.appendChild(makeLink(node.target, node, labels));
    } else {
      appendLinkWords(parent, node, labels);
    }
  }
}

/** @param {Node} parent @param {string} text */
function appendText(parent, text) {
  const last = parent.lastChild;
  if (!text) return;
  if (last instanceof Text && last.length < TEXT_MAX) last.appendData(text);
  else parent.appendChild(document.createTextNode(text));
}

/** @param {Node} parent @param {{children: any[], isImage: boolean}} link @param {Labels} labels */
function appendLinkWords(parent, { children, isImage }, labels) {
  if (isImage) appendText(parent, wordsOf(children));
  else appendNodes(parent, children, labels, { isInLink: true });
}

/**
 * Make a link whose true place stands behind its words unless they say it themselves. The words are isolated, so that
 * marks of writing direction in them cannot reorder the place.
 * @param {import("./links.js").Target} target @param {{children: any[], isImage: boolean}} link @param {Labels} labels
 */
function makeLink(target, link, labels) {
  const { href, host, place } = target;
  const element = make("a", { href, rel: "noopener noreferrer nofollow", target: "_blank" });
  if (host) element.setAttribute("title", labels.opensHost(host));
  const words = wordsOf(link.children);
  if (isEvident(words, target) && words.trim()) {
    appendLinkWords(element, link, labels);
  } else if (words.trim()) {
    const isolated = element.appendChild(make("bdi"));
    appendLinkWords(isolated, link, labels);
    element.append(" ", make("span", { class: "host", dir: "ltr" }, `(${place})`));
  } else {
    element.append(make("span", { class: "host", dir: "ltr" }, place ?? href));
  }
  return element;
}
