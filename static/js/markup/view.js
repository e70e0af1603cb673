// Shows a growing text in an element: what cannot change any more stays, the rest is read again.

import { parseInline } from "./inline.js";
import { appendNodes } from "./nodes.js";

export class InlineView {
  /** @type {ChildNode | null} the last node that stays */
  #kept = null;
  #offset = 0;

  /** @param {HTMLElement} host still empty @param {import("./nodes.js").Labels} labels */
  constructor(host, labels) {
    this.host = host;
    this.labels = labels;
  }

  /** @param {string} text begins with what was shown last time @param {{isOpen: boolean}} state whether more may come */
  show(text, { isOpen }) {
    const { settled, tail, offset } = parseInline(text, { from: this.#offset, isOpen });
    while (this.host.lastChild !== this.#kept) this.host.lastChild?.remove();
    appendNodes(this.host, settled, this.labels);
    this.#kept = this.host.lastChild;
    this.#offset = offset;
    const unsettled = document.createDocumentFragment(); // so that its words do not flow into the node that stays
    appendNodes(unsettled, tail, this.labels);
    this.host.append(unsettled);
    if (!isOpen) this.host.normalize();
  }
}
