/**
 * The socket, kept open: says hello, notices silence, comes back with a jittered back-off.
 *
 * Events: `frame` (detail: a server frame), `status` (detail: the new status) and `refused` (the
 * server does not know our token).
 *
 * @typedef {"connecting" | "greeting" | "ready" | "away" | "ended"} Status
 *   connecting: no socket yet · greeting: hello was sent · ready: frames may be sent ·
 *   away: waiting to try again · ended: we gave up, a reload is needed
 * @typedef {import("./frames.js").ServerFrame} ServerFrame
 */

const CLOSE_BAD_FRAMES = 4400;
const CLOSE_TOKEN = 4401;
const CLOSE_FLOOD = 4429;

const OPEN_WITHIN_MS = 10_000;
const QUIET_MS = 25_000; // proxies cut silent sockets after 60 s
const PONG_WITHIN_MS = 6_000;
const PONG_WITHIN_OFFLINE_MS = 1_000; // the browser says that there is no network; loopback may work all the same
const FIRST_DELAY_MS = 400;
const DELAY_GROWTH = 1.5; // gentle, so that a restart of some seconds is hardly noticed
const LONGEST_DELAY_MS = 20_000;
const STEADY_MS = 5_000; // a socket that lived so long was a success
const FLOOD_DELAY_MS = 11_000; // frames are counted over 10 s
const BAD_FRAME_CLOSES = 2; // the page itself must be at fault: reconnecting for ever would not help

export class Connection extends EventTarget {
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Status} */
  #status = "connecting";
  #failures = 0;
  #badFrames = 0;
  #readyAt = Infinity;
  #notBefore = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watchTimer;

  /**
   * @param {string} url
   * @param {() => object[]} greeting the frames that open a socket: hello, and what has to follow at once
   */
  constructor(url, greeting) {
    super();
    this.url = url;
    this.greeting = greeting;
    addEventListener("online", () => this.hurry());
    addEventListener("offline", () => this.#ask(PONG_WITHIN_OFFLINE_MS));
    addEventListener("pageshow", (event) => event.persisted && this.#lose());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.hurry());
  }

  get status() {
    return this.#status;
  }

  /** Open the socket, leaving the one there may be. */
  open() {
    this.#drop();
    if (this.#status === "ended") return;
    this.#become("connecting");
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#watch(OPEN_WITHIN_MS, () => this.#lose());
    socket.addEventListener("open", () => socket === this.#socket && this.greet());
    socket.addEventListener("message", (event) => socket === this.#socket && this.#hear(event.data));
    socket.addEventListener("close", (event) => socket === this.#socket && this.#closed(event.code));
  }

  /** Say hello: on a new socket, and again after a hello that found nothing. */
  greet() {
    this.#become("greeting");
    this.#watch(OPEN_WITHIN_MS, () => this.#lose());
    for (const frame of this.greeting()) this.#socket?.send(JSON.stringify(frame));
  }

  /**
   * Send a frame; false if there is nobody to send it to.
   * @param {object} frame
   */
  send(frame) {
    if (this.#status !== "ready" || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Come back on a new socket after `delay_ms`: the server asked for it, or said to wait. @param {number} delay_ms */
  renewIn(delay_ms) {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.open(), delay_ms);
  }

  /** Try at once if we were waiting to, and see whether a quiet socket still lives. */
  hurry() {
    if (this.#status === "away" && Date.now() >= this.#notBefore) this.open();
    else if (this.#status === "ready") this.#ask();
  }

  /** @param {unknown} data */
  #hear(data) {
    /** @type {ServerFrame} */
    const frame = JSON.parse(String(data));
    if (frame.type === "ready" && this.#status !== "ready") {
      this.#readyAt = Date.now();
      this.#become("ready");
    }
    if (this.#status === "ready") this.#watch(QUIET_MS, () => this.#ask());
    if (frame.type === "draining") this.renewIn(frame.reconnect_after_ms * (1 + Math.random() / 2));
    this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
  }

  /** @param {number} code */
  #closed(code) {
    this.#drop();
    if (code === CLOSE_TOKEN) this.dispatchEvent(new CustomEvent("refused"));
    if (code === CLOSE_BAD_FRAMES) this.#badFrames += 1;
    if (this.#badFrames >= BAD_FRAME_CLOSES) {
      this.#become("ended");
      return;
    }
    this.#waitAndOpen(code === CLOSE_FLOOD ? FLOOD_DELAY_MS : 0);
  }

  /** Give up on this socket without waiting for its close, which may never be heard. */
  #lose() {
    if (this.#status === "away" || this.#status === "ended") return;
    this.#drop();
    this.#waitAndOpen(0);
  }

  /** @param {number} atLeast_ms */
  #waitAndOpen(atLeast_ms) {
    if (Date.now() - this.#readyAt > STEADY_MS) this.#failures = 0;
    this.#readyAt = Infinity;
    const grown_ms = navigator.onLine ? FIRST_DELAY_MS * DELAY_GROWTH ** this.#failures : LONGEST_DELAY_MS; // `online` hurries us
    const ceiling_ms = Math.min(LONGEST_DELAY_MS, grown_ms);
    this.#failures += 1;
    this.#notBefore = Date.now() + atLeast_ms;
    this.#become("away");
    this.renewIn(atLeast_ms + ceiling_ms * (0.5 + Math.random() / 2));
  }

  #ask(within_ms = PONG_WITHIN_MS) {
    if (this.send({ type: "ping" })) this.#watch(within_ms, () => this.#lose());
  }

  /** @param {number} after_ms @param {() => void} act */
  #watch(after_ms, act) {
    clearTimeout(this.#watchTimer);
    this.#watchTimer = setTimeout(act, after_ms);
  }

  #drop() {
    clearTimeout(this.#watchTimer);
    clearTimeout(this.#retryTimer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** @param {Status} status */
  #become(status) {
    if (status === this.#status) return;
    this.#status = status;
    this.dispatchEvent(new CustomEvent("status", { detail: status }));
  }
}
