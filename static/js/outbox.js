/**
 * What the visitor sent and the server has not acknowledged: kept in this browser, sent one after the
 * other, each under the same id until it is answered, so that it arrives once.
 *
 * All tabs of a visitor keep theirs in one place. A tab leaves alone what another one is just sending,
 * but when it comes (back) to the server it takes what lies there: the other tab may be closed by now.
 * Should both send it, the server stores it once.
 *
 * A message the connection never survives must not be sent for ever: after MAX_TRIES sends without an
 * answer it is given up, and the visitor is asked.
 *
 * @typedef {object} Item
 * @property {string} id our own uuid: the server stores a message of this id once
 * @property {string} text
 * @property {string | null} conversation_id null for a conversation that does not exist yet
 * @property {number} made_at ms since 1970, also the order
 * @property {number} tries sends that were not answered
 * @property {string | null} refused the error code it was given up with ("unanswered" for none)
 */

import { forget, keep, kept, keysFrom } from "./storage.js";

const MAX_TRIES = 5;
const ANSWER_WITHIN_MS = 15_000;

/** Codes after which the very same message may succeed later. */
const PASSING = new Set(["rate_limited", "busy", "internal"]);
const PAUSE_S = 5; // where the server names none

export class Outbox extends EventTarget {
  /** @type {Item | null} */
  #inFlight = null;
  /** Ids of what this tab looks after. @type {Set<string>} */
  #ours = new Set();
  /** @type {string | null | undefined} */
  #conversation_id = undefined;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** When the next one may go, in ms since 1970. */
  heldUntil = 0;

  /**
   * @param {string} name keeps apart the assistants of one origin
   * @param {(frame: object) => boolean} send false if there is nobody to send to
   */
  constructor(name, send) {
    super();
    this.prefix = `outbox.${name}.`;
    this.send = send;
    this.#takeAll();
  }

  /**
   * What waits in a conversation, oldest first.
   * @param {string | null} conversation_id
   */
  waitingIn(conversation_id) {
    return this.#all().filter((item) => item.conversation_id === conversation_id);
  }

  /** The oldest that waits anywhere, else undefined. */
  oldest() {
    return this.#all().find((item) => !item.refused);
  }

  /** @param {string} text @param {string | null} conversation_id */
  add(text, conversation_id) {
    const last = this.#all().at(-1)?.made_at ?? 0;
    const made_at = Math.max(Date.now(), last + 1); // two in one millisecond keep their order
    this.#put({ id: newId(), text, conversation_id, made_at, tries: 0, refused: null });
    this.#next();
  }

  /** Try one again that was given up. @param {string} id */
  again(id) {
    const item = this.#get(id);
    if (!item) return;
    if (item.refused === "conflict") {
      this.remove(id); // its id stands for another message
      this.#put({ ...item, id: newId(), tries: 0, refused: null });
    } else this.#put({ ...item, tries: 0, refused: null });
    this.#next();
  }

  /** @param {string} id */
  remove(id) {
    if (this.#inFlight?.id === id) this.#inFlight = null;
    this.#ours.delete(id);
    forget(this.prefix + id);
    this.dispatchEvent(new Event("change"));
  }

  /** The socket now speaks of this conversation. @param {string | null} conversation_id */
  connected(conversation_id) {
    if (this.#conversation_id === undefined) this.#takeAll();
    this.#conversation_id = conversation_id;
    this.#inFlight = null;
    this.#next();
  }

  /** The socket is gone. What was in flight may have arrived or not: it goes again, under its id. */
  disconnected() {
    this.#conversation_id = undefined;
    this.#inFlight = null;
    clearTimeout(this.#timer);
  }

  /**
   * The server stored a message.
   * @param {string} id
   * @param {string} conversation_id where it stands
   * @returns {Item | null} what it was, null if it was not ours
   */
  saved(id, conversation_id) {
    const item = this.#get(id);
    if (!item) return null;
    this.remove(id);
    // It opened a conversation: what was written behind it goes there too.
    if (item.conversation_id !== conversation_id) this.#rehome(item.conversation_id, conversation_id);
    if (this.#conversation_id !== undefined) this.#conversation_id = conversation_id;
    this.#next();
    return item;
  }

  /**
   * The server refused a frame of ours. @param {import("./frames.js").ErrorFrame} error
   * @returns {Item | null} the message it refused, null if it was none
   */
  refused({ id, code, retry_after_s }) {
    if (retry_after_s || PASSING.has(code)) this.hold(retry_after_s ?? PAUSE_S);
    const item = id ? this.#get(id) : null;
    if (!item) return null;
    this.#inFlight = null;
    const isPassing = PASSING.has(code);
    const tries = code === "internal" ? item.tries : 0; // an answer: the wire is not at fault
    this.#put({ ...item, tries, refused: isPassing && tries < MAX_TRIES ? null : code });
    this.#next();
    return item;
  }

  /** @param {number} pause_s */
  hold(pause_s) {
    this.heldUntil = Math.max(this.heldUntil, Date.now() + pause_s * 1000);
    this.#next();
  }

  /** A new visitor has none of the old one's conversations: what waits begins one. */
  forgetConversations() {
    for (const item of this.#all()) this.#put({ ...item, conversation_id: null });
  }

  /** @param {string | null} from @param {string} to */
  #rehome(from, to) {
    for (const item of this.waitingIn(from)) this.#put({ ...item, conversation_id: to });
  }

  #next() {
    clearTimeout(this.#timer);
    if (this.#conversation_id === undefined || this.#inFlight) return;
    const item = this.waitingIn(this.#conversation_id).find(({ refused }) => !refused);
    if (!item) return;
    const wait_ms = this.heldUntil - Date.now();
    if (wait_ms > 0) {
      this.#timer = setTimeout(() => this.#next(), wait_ms);
      return;
    }
    if (item.tries >= MAX_TRIES) {
      this.#put({ ...item, refused: "unanswered" });
      this.#next();
      return;
    }
    if (!this.send({ type: "message.send", id: item.id, text: item.text })) return;
    this.#inFlight = { ...item, tries: item.tries + 1 };
    this.#put(this.#inFlight);
    this.#timer = setTimeout(() => {
      this.#inFlight = null;
      this.#next();
    }, ANSWER_WITHIN_MS);
  }

  /** @returns {Item[]} oldest first */
  #all() {
    const items = [...this.#ours].map((id) => this.#get(id));
    return items.filter((item) => item !== null).sort((one, other) => one.made_at - other.made_at);
  }

  #takeAll() {
    for (const key of keysFrom(this.prefix)) this.#ours.add(key.slice(this.prefix.length));
  }

  /** @param {string} id @returns {Item | null} null also where another tab has seen to it */
  #get(id) {
    const text = kept(this.prefix + id);
    return text === null ? null : JSON.parse(text);
  }

  /** @param {Item} item */
  #put(item) {
    this.#ours.add(item.id);
    keep(this.prefix + item.id, JSON.stringify(item));
    this.dispatchEvent(new Event("change"));
  }
}

/** A uuid; randomUUID is missing on plain http. */
function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}
