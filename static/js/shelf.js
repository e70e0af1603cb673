/**
 * The visitor's conversations with this assistant, newest first, as far as they were asked for.
 * One question is under way at a time; what is typed meanwhile is asked next.
 *
 * @typedef {import("./frames.js").ConversationLine} ConversationLine
 */

export class Shelf extends EventTarget {
  /** @type {ConversationLine[]} */
  items = [];
  more = false;
  /** What `items` were found by. */
  query = "";
  /** Whether the server has answered at all. */
  isKnown = false;

  #wanted = "";
  #isAsking = false;
  #isAppending = false;

  /** @param {(frame: object) => boolean} send false if there is nobody to send to */
  constructor(send) {
    super();
    this.send = send;
  }

  /** A socket is there: what was under way is lost, what is shown may be old. */
  connected() {
    this.#isAsking = false;
    this.#ask(null);
  }

  /** @param {string} query */
  search(query) {
    this.#wanted = query.trim();
    this.#ask(null);
  }

  next() {
    const last = this.items.at(-1);
    if (this.more && last) this.#ask(last.id);
  }

  /** @param {import("./frames.js").ConversationsFrame} frame */
  read({ items, more }) {
    const asked = this.#isAppending ? this.query : this.#asked;
    this.items = this.#isAppending ? [...this.items, ...items.filter(({ id }) => !this.#has(id))] : items;
    this.more = more;
    this.query = asked;
    this.isKnown = true;
    this.#isAsking = false;
    this.dispatchEvent(new Event("change"));
    if (this.#wanted !== asked) this.#ask(null);
  }

  /** A question of ours was refused: what is typed next asks again. */
  refused() {
    this.#isAsking = false;
  }

  /**
   * Something was said in a conversation: it moves to the top.
   * @param {import("./frames.js").Conversation} conversation
   * @param {import("./frames.js").Message} message
   */
  touch({ id, title, status }, message) {
    const known = this.items.find((item) => item.id === id);
    if (this.query && !known) return; // it was not searched for
    const last_line = lineOf(message.text) || (known?.last_line ?? "");
    const line = { id, title, status, last_message_at: message.created_at ?? "", last_line };
    this.items = [line, ...this.items.filter((item) => item.id !== id)];
    this.dispatchEvent(new Event("change"));
  }

  #asked = "";

  /** @param {string | null} before id of the last one shown, null for the newest */
  #ask(before) {
    if (this.#isAsking) return;
    const query = before === null ? this.#wanted : this.query;
    const frame = { type: "conversations.list", id: "conversations", query, before };
    if (!this.send(frame)) return;
    this.#isAsking = true;
    this.#isAppending = before !== null;
    this.#asked = query;
  }

  /** @param {string} id */
  #has(id) {
    return this.items.some((item) => item.id === id);
  }
}

/** The first line with words in it, without Markdown's signs. @param {string} text */
function lineOf(text) {
  const line = text.split("\n").find((each) => /[\p{L}\p{N}]/u.test(each)) ?? "";
  return line.replace(/^[\s#>*+-]+|[*_`]/g, "").slice(0, 120);
}
