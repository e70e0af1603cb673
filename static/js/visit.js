/**
 * One visitor at one assistant: everything between the page and the server, without the DOM of the page.
 *
 * Events: `shown` (what is shown has changed), `added` (detail: text at the end of the running answer),
 * `notice` (detail: an error to speak about beside the conversation), `status` (of the connection).
 *
 * @typedef {import("./timeline.js").State} State
 * @typedef {import("./frames.js").ServerFrame} ServerFrame
 * @typedef {import("./frames.js").ErrorFrame} ErrorFrame
 * @typedef {{rating: 1 | -1 | null, comment?: string}} Feedback
 */

import { Connection } from "./connection.js";
import { Outbox } from "./outbox.js";
import { Shelf } from "./shelf.js";
import { forget, keep, kept } from "./storage.js";
import { NOTHING, read } from "./timeline.js";

const TOKEN = "token";
const SYNC_AGAIN_MS = 5_000;
const PAGE_AGAIN_MS = 10_000; // frames are counted over 10 s
const PAGE_TRIES = 5;

/** What the page asks of its own accord: a refusal is nothing to bother the visitor with. */
const BACKGROUND = new Set(["sync", "messages.list", "conversations"]);

export class Visit extends EventTarget {
  /** @type {State} */
  state = NOTHING;
  /** The conversation the visitor wants to see: null is a new one, undefined whichever is open. @type {string | null | undefined} */
  #wanted;
  /** Whether `conversation.open` is under way: until it is answered, a `ready` may speak of what was left. */
  #isOpening = false;
  /** @type {string | null} */
  #stopping = null;
  /** @type {string | null} */
  #retrying = null;
  /** By message id: sent until the server tells of the change. @type {Map<string, Feedback>} */
  #feedback = new Map();
  /** @type {((answer: "came" | "refused" | "lost") => void) | null} */
  #olderAsked = null;

  /**
   * @param {object} options
   * @param {string} options.url of the socket
   * @param {string} options.assistant slug
   * @param {string} options.locale
   * @param {string | null | undefined} options.conversation_id to begin with
   */
  constructor({ url, assistant, locale, conversation_id }) {
    super();
    this.assistant = assistant;
    this.locale = locale;
    this.connection = new Connection(url, () => this.#greeting());
    this.outbox = new Outbox(assistant, (frame) => this.connection.send(frame));
    this.shelf = new Shelf((frame) => this.connection.send(frame));
    this.#wanted = conversation_id;
    this.connection.addEventListener("frame", (event) => this.#hear(/** @type {CustomEvent} */ (event).detail));
    this.connection.addEventListener("status", () => this.#connectionChanged());
    this.connection.addEventListener("refused", () => this.#beginAnew());
    this.outbox.addEventListener("change", () => this.#tell("shown"));
  }

  /** The conversation the page is about, null for one that does not exist yet. */
  get here() {
    return this.#wanted === undefined ? this.state.conversation?.id ?? null : this.#wanted;
  }

  begin() {
    this.connection.open();
  }

  /** @param {string} text */
  send(text) {
    this.outbox.add(text, this.here);
  }

  stop() {
    if (!this.state.turn) return;
    this.#stopping = this.state.turn.id;
    this.#ask({ type: "turn.stop", turn_id: this.#stopping });
  }

  get isStopping() {
    return this.#stopping !== null && this.#stopping === this.state.turn?.id;
  }

  /** @param {string} turn_id */
  retry(turn_id) {
    this.#retrying = turn_id;
    this.#ask({ type: "turn.retry", turn_id });
  }

  /** @param {string} message_id @param {Feedback} feedback */
  rate(message_id, feedback) {
    const message = this.state.messages.find(({ id }) => id === message_id);
    if (!message) return;
    this.#feedback.set(message_id, feedback);
    this.#read({ type: "message.changed", message: { ...message, rating: feedback.rating } });
    this.#ask({ type: "feedback.send", message_id, ...feedback });
  }

  /** Show another conversation, or null for a new one. @param {string | null} conversation_id */
  open(conversation_id) {
    if (conversation_id === this.here && this.#wanted !== undefined) return;
    this.#wanted = conversation_id;
    this.outbox.disconnected();
    this.#isOpening = this.#ask({ type: "conversation.open", conversation_id });
    if (this.#isOpening) return;
    const conversation = this.shelf.items.find(({ id }) => id === conversation_id) ?? null;
    this.#become({ ...NOTHING, assistant: this.state.assistant, limits: this.state.limits, conversation });
  }

  /** Ask for older messages, if there are any. @returns {Promise<"came" | "refused" | "lost">} */
  older() {
    const before = this.state.messages[0]?.position;
    if (this.#olderAsked || !this.state.more || !this.#ask({ type: "messages.list", before })) return Promise.resolve("lost");
    return new Promise((resolve) => {
      this.#olderAsked = resolve;
      this.#tell("shown");
    });
  }

  /** Ask for all older messages. @returns {Promise<boolean>} whether all are there */
  async whole() {
    for (let tries = 0; this.state.more && tries < PAGE_TRIES; ) {
      const answer = await this.older();
      if (answer === "lost") break;
      tries = answer === "came" ? 0 : tries + 1;
      if (tries) await new Promise((done) => setTimeout(done, PAGE_AGAIN_MS));
    }
    return !this.state.more;
  }

  get isAskingOlder() {
    return this.#olderAsked !== null;
  }

  /** @returns {object[]} */
  #greeting() {
    if (this.#wanted === undefined) this.#wanted = this.outbox.oldest()?.conversation_id; // what waits goes first
    const wanted = this.#wanted;
    const { assistant, locale } = this;
    const hello = { type: "hello", token: kept(TOKEN) ?? undefined, assistant, conversation_id: wanted ?? undefined, locale };
    this.#isOpening = wanted === null; // hello can only ask for what there is
    return wanted === null ? [hello, { type: "conversation.open", id: "conversation.open", conversation_id: null }] : [hello];
  }

  /** Send a frame, marked with its type, so that an error says what it answers. @param {{type: string} & Record<string, unknown>} frame */
  #ask(frame) {
    return this.connection.send({ id: frame.type, ...frame });
  }

  /** @param {ServerFrame} frame */
  #hear(frame) {
    if (frame.type === "ready") return this.#ready(frame);
    if (frame.type === "error") return this.#refused(frame);
    if (frame.type === "conversations") return this.shelf.read(frame);
    if (frame.type === "message.saved") this.#saved(frame);
    if (frame.type === "message.changed") this.#feedback.delete(frame.message.id);
    if (frame.type === "turn.started") this.#retrying = null;
    this.#read(frame);
    if (frame.type === "messages") this.#olderAnswered("came");
    if (frame.type === "turn.finished" || frame.type === "message.added" || frame.type === "message.saved") {
      if (this.state.conversation) this.shelf.touch(this.state.conversation, frame.message);
    }
  }

  /** @param {import("./frames.js").ReadyFrame} frame */
  #ready(frame) {
    keep(TOKEN, frame.visitor.token);
    const found = frame.conversation?.id ?? null;
    if (this.#isOpening && found !== this.#wanted) return;
    this.#isOpening = false;
    if (this.#wanted !== undefined || found) this.#wanted = found;
    this.#olderAnswered("lost");
    this.#read(frame);
    this.outbox.connected(found);
    this.#repeatWishes();
  }

  /** What was wanted while nobody was there to hear it. */
  #repeatWishes() {
    const { turn, messages } = this.state;
    if (this.#stopping && turn?.id === this.#stopping) this.#ask({ type: "turn.stop", turn_id: this.#stopping });
    const isLast = !turn && messages.findLast((message) => message.turn_id)?.turn_id === this.#retrying;
    if (this.#retrying && isLast) this.#ask({ type: "turn.retry", turn_id: this.#retrying });
    else this.#retrying = null;
    for (const [message_id, feedback] of this.#feedback) this.#ask({ type: "feedback.send", message_id, ...feedback });
  }

  /** @param {import("./frames.js").SavedFrame} frame */
  #saved({ id, conversation }) {
    const item = this.outbox.saved(id, conversation.id);
    if (this.#isOpening) return; // the visitor has left that conversation
    this.#wanted = conversation.id;
    // Sent more than once into a new conversation: it may stand there already, with an answer.
    if (item && item.tries > 1 && item.conversation_id === null) {
      this.#ask({ type: "conversation.open", conversation_id: conversation.id });
    }
  }

  /** @param {ErrorFrame} error */
  #refused(error) {
    if (this.connection.status === "greeting") return this.#helloRefused(error);
    const item = this.outbox.refused(error);
    const before = this.state;
    this.#read(error);
    if (error.id === "turn.retry") this.#retrying = null;
    if (error.id === "feedback.send") this.#feedback.clear();
    if (error.id === "messages.list") this.#olderAnswered("refused");
    if (error.id === "conversations") this.shelf.refused();
    if (error.id === "sync") setTimeout(() => this.state.isBehind && this.#ask({ type: "sync" }), SYNC_AGAIN_MS);
    if (error.id === "conversation.open") {
      this.#isOpening = false;
      this.#wanted = this.state.conversation?.id ?? null;
      this.outbox.connected(this.#wanted);
    }
    if (error.code === "not_running") {
      if (this.isStopping) this.#ask({ type: "sync" }); // its end was missed
      return;
    }
    const isToldInPlace = this.state.failures !== before.failures;
    if (item || !(isToldInPlace || BACKGROUND.has(error.id ?? ""))) this.#tell("notice", error);
  }

  /** @param {ErrorFrame} error */
  #helloRefused(error) {
    if (error.code === "not_found" && this.#wanted) {
      this.#wanted = undefined;
      this.#tell("notice", error);
      this.connection.greet();
    } else if (error.retry_after_s) this.connection.renewIn(error.retry_after_s * 1000);
    else if (error.code !== "unauthorized") this.#tell("notice", error); // its close tells of it
  }

  /** The server does not know our token: a new visitor begins. */
  #beginAnew() {
    const hadToken = kept(TOKEN) !== null;
    forget(TOKEN);
    this.#wanted = undefined;
    this.outbox.forgetConversations();
    this.#become(NOTHING);
    if (hadToken) this.#tell("notice", { type: "error", code: "unauthorized", text: "" });
  }

  #connectionChanged() {
    if (this.connection.status === "ready") this.shelf.connected();
    else {
      this.outbox.disconnected();
      this.#olderAnswered("lost");
    }
    this.#tell("status");
    this.#tell("shown");
  }

  /** @param {"came" | "refused" | "lost"} answer */
  #olderAnswered(answer) {
    const asked = this.#olderAsked;
    this.#olderAsked = null;
    asked?.(answer);
    if (asked && answer !== "came") this.#tell("shown");
  }

  /** @param {ServerFrame} frame */
  #read(frame) {
    const { state, added, asks } = read(this.state, frame);
    if (asks) this.#ask({ type: asks });
    if (frame.type === "turn.delta" && state.turn?.position === this.state.turn?.position) {
      this.state = state;
      if (added) this.#tell("added", added);
    } else this.#become(state);
  }

  /** @param {State} state */
  #become(state) {
    if (state === this.state) return;
    const before = this.state;
    this.state = state;
    this.#tell("shown", before);
  }

  /** @param {string} type @param {unknown} [detail] */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
