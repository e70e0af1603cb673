/** What came while the visitor was away: counted for the tab's title, and marked with a line in the list. */

/**
 * The messages of others that one state has and the one before had not. Pure.
 * @param {import("./timeline.js").State} before
 * @param {import("./timeline.js").State} after
 * @returns {import("./frames.js").Message[]}
 */
export function arrivals(before, after) {
  if (before.messages === after.messages || before.conversation?.id !== after.conversation?.id) return [];
  const known = new Set(before.messages.map(({ id }) => id));
  const last = before.messages.at(-1)?.position ?? 0;
  const running = before.turn?.message_id;
  return after.messages.filter(
    ({ id, role, position }) => role !== "visitor" && !known.has(id) && ((position ?? 0) > last || id === running),
  );
}

export class Unread {
  count = 0;
  /** Id of the message the line stands before, null for none. @type {string | null} */
  from = null;
  /** Answers of which something was seen before the visitor left. @type {Set<string>} */
  #seen = new Set();

  /**
   * @param {import("./timeline.js").State} before
   * @param {import("./timeline.js").State} after
   * @param {boolean} isAway
   */
  read(before, after, isAway) {
    if (before.conversation?.id !== after.conversation?.id) this.reset();
    if (!isAway) {
      if (after.turn) this.#seen.add(after.turn.message_id);
      return;
    }
    for (const message of arrivals(before, after)) {
      if (this.count === 0) this.from = null;
      this.count += 1;
      if (!this.#seen.has(message.id)) this.from ??= message.id;
    }
  }

  /** The visitor is back. */
  return() {
    this.count = 0;
  }

  reset() {
    this.count = 0;
    this.from = null;
    this.#seen.clear();
  }
}
