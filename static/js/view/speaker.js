/** Tells screen readers what happens, in whole sentences, through a hidden polite live region. */

import { element } from "./element.js";

const KEPT = 12; // sentences; a reader that has not come to the older ones has been overtaken

export class Speaker {
  /** @param {HTMLElement} region */
  constructor(region) {
    this.region = region;
  }

  /** @param {...string} sentences */
  say(...sentences) {
    for (const sentence of sentences) this.region.append(element("span", {}, `${sentence} `));
    while (this.region.childElementCount > KEPT) this.region.firstElementChild?.remove();
  }
}
