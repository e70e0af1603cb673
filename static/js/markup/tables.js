// Tables: in a region of their own that scrolls sideways and can be reached with the keyboard.

import { splitCells } from "./lines.js";
import { make } from "./nodes.js";
import { InlineView } from "./view.js";

const NAME_MAX = 80;
/** @type {Record<string, string>} */
const CLASSES = { left: "", center: "center", right: "number" };
const NUMBER_MAX = 24;
const NUMBER = // a sign, a currency, digits, a short unit
  /^[-−+±~≈]?\s?(?:[€$£¥￥]|[A-Z]{3}\s)?\s?[-−+]?\d[\d.,:'’\s–-]*(?:[%‰€$£¥￥°]|[\p{L}°²³µ/]{1,4})?$/u;

export class Table {
  kind = "table";
  /** @type {(string | null)[]} the class of each column: "number", "center" or "" for left; null: not known yet */
  #classes;
  #element;
  #head;
  #labels;
  #row = "";
  /** @type {{view: InlineView, text: string, isOpen: boolean}[]} the cells of the row that grows */
  #cells = [];
  #table;

  /**
   * @param {HTMLElement} parent @param {string[]} head @param {(string | null)[]} alignments
   * @param {import("./nodes.js").Labels} labels @param {{isOpen?: boolean}} state `isOpen`: the head itself still grows
   */
  constructor(parent, head, alignments, labels, { isOpen = false } = {}) {
    this.#labels = labels;
    this.#classes = head.map((_, column) => (alignments[column] ? CLASSES[alignments[column]] : null));
    this.#head = head.map((text, column) => {
      const cell = makeCell("th", this.#classes[column]);
      new InlineView(cell, labels).show(text, { isOpen: isOpen && column === head.length - 1 });
      return cell;
    });
    this.#table = make("table", {}, make("thead", {}, make("tr", {}, ...this.#head)));
    const name = this.#head.map((cell) => cell.textContent).filter(Boolean).join(", ").slice(0, NAME_MAX);
    const region = name ? { role: "region", "aria-label": name } : {};
    this.#element = make("div", { class: "table", tabindex: "0", ...region }, this.#table);
    parent.append(this.#element);
  }

  remove() {
    this.#element.remove();
  }

  /** @param {string} text */
  addLine(text) {
    this.close();
    this.#row = text;
    const cells = this.#classes.map((name) => makeCell("td", name));
    this.#cells = cells.map((cell) => ({ view: new InlineView(cell, this.#labels), text: "", isOpen: false }));
    const body = this.#table.tBodies[0] ?? this.#table.appendChild(make("tbody"));
    body.append(make("tr", {}, ...cells));
  }

  /** @param {string} piece */
  grow(piece) {
    this.#row += piece;
  }

  paint() {
    this.#show({ isOpen: true });
  }

  close() {
    this.#show({ isOpen: false });
    this.#cells.forEach(({ view }, column) => (this.#classes[column] ??= this.#classify(view.host, column)));
    this.#cells = [];
  }

  /** @param {{isOpen: boolean}} state */
  #show({ isOpen }) {
    if (!this.#cells.length) return;
    const texts = splitCells(this.#row, this.#cells.length);
    texts.forEach((text, column) => {
      const cell = this.#cells[column];
      const isCellOpen = isOpen && column === texts.length - 1;
      if (cell.text === text && cell.isOpen === isCellOpen) return;
      cell.view.show(text, { isOpen: isCellOpen });
      Object.assign(cell, { text, isOpen: isCellOpen });
    });
  }

  /**
   * A column of which nothing is said follows its first cell: numbers stand at the right.
   * @param {HTMLElement} cell @param {number} column
   */
  #classify(cell, column) {
    const text = cell.textContent?.trim() ?? "";
    if (text.length > NUMBER_MAX || !NUMBER.test(text)) return "";
    cell.className = this.#head[column].className = "number";
    return "number";
  }
}

/** @param {"td" | "th"} name @param {string | null} className */
function makeCell(name, className) {
  const scope = name === "th" ? { scope: "col" } : {};
  return make(name, className ? { ...scope, class: className } : scope);
}
