/**
 * Whole sentences for the live region: takes an answer as it comes, gives back what is complete.
 * Pure; markup signs are left out, since nobody wants to hear them.
 */

import { speakable } from "./markup.js";

const END = /[.!?…]+["'”’)\]*_]*(?=\s)|[。！？；]+[”’」』）]*|\n+/gu;
const LONGEST = 400; // characters without an end: a table or code is heard in pieces

export class Sentences {
  #rest = "";

  /**
   * @param {string} text what is new at the end of the answer
   * @returns {string[]} the sentences that are now complete
   */
  add(text) {
    this.#rest += text;
    const found = [];
    let from = 0;
    for (const match of this.#rest.matchAll(END)) {
      const to = match.index + match[0].length;
      found.push(this.#rest.slice(from, to));
      from = to;
    }
    this.#rest = this.#rest.slice(from);
    if (this.#rest.length > LONGEST) found.push(this.#take());
    return found.map(said).filter(Boolean);
  }

  /** The answer has ended: what is left. @returns {string[]} */
  end() {
    return [this.#take()].map(said).filter(Boolean);
  }

  #take() {
    const rest = this.#rest;
    this.#rest = "";
    return rest;
  }
}

/** @param {string} text */
const said = (text) => speakable(text).trim();
