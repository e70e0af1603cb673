/** The band above the list: nothing for a second, then plain words; and good news after a longer absence. */

import words from "words";
import { icon } from "./element.js";

const SILENT_MS = 1_000;
const LONG_MS = 5_000;
const BACK_MS = 2_000;

export class ConnectionBand {
  /** Since when the server is out of reach, ms of performance.now(); null while it is not. @type {number | null} */
  #since = performance.now();
  #hasBeenThere = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Whether the page says that it is cut off. */
  isAway = false;

  /**
   * @param {HTMLElement} band
   * @param {import("./speaker.js").Speaker} speaker
   * @param {() => void} changed called when `isAway` has changed
   */
  constructor(band, speaker, changed) {
    this.band = band;
    this.speaker = speaker;
    this.changed = changed;
    addEventListener("online", () => this.isAway && this.#tellAway());
    addEventListener("offline", () => this.isAway && this.#tellAway());
    this.#timer = setTimeout(() => this.#tellAway(), SILENT_MS);
  }

  /** @param {import("../connection.js").Status} status */
  show(status) {
    if (status === "ready") this.#there();
    else if (status === "ended") this.#say("warn", words.reload);
    else if (this.#since === null) {
      this.#since = performance.now();
      clearTimeout(this.#timer);
      if (navigator.onLine) this.#timer = setTimeout(() => this.#tellAway(), SILENT_MS);
      else this.#tellAway(); // the second has passed in finding out
    }
  }

  #there() {
    clearTimeout(this.#timer);
    const away_ms = this.#since === null ? 0 : performance.now() - this.#since;
    const isNews = this.#hasBeenThere && away_ms > LONG_MS;
    this.#since = null;
    this.#hasBeenThere = true;
    this.#setAway(false);
    this.band.hidden = !isNews;
    if (!isNews) return;
    this.#say("check", words.back);
    this.#timer = setTimeout(() => (this.band.hidden = true), BACK_MS);
  }

  #tellAway() {
    this.#setAway(true);
    if (!navigator.onLine) this.#say("offline", words.offline);
    else this.#say("again", this.#hasBeenThere ? words.reconnecting : words.connecting);
  }

  /** @param {string} sign @param {string} sentence */
  #say(sign, sentence) {
    this.band.classList.toggle("back", sign === "check");
    this.band.replaceChildren(icon(sign, true), sentence);
    this.band.hidden = false;
    this.speaker.say(sentence);
  }

  /** @param {boolean} isAway */
  #setAway(isAway) {
    if (isAway === this.isAway) return;
    this.isAway = isAway;
    this.changed();
  }
}
