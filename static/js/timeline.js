/**
 * What the page shows of one conversation, as a value: server frames go in, the next state comes out.
 * No DOM, no clock, no network; states are never changed in place. A delta costs what it brings,
 * however long the answer is already.
 *
 * @typedef {import("./frames.js").Message} Message
 * @typedef {import("./frames.js").ServerFrame} ServerFrame
 * @typedef {import("./frames.js").ErrorFrame} ErrorFrame
 *
 * @typedef {object} Turn the running one
 * @property {string} id
 * @property {string} message_id
 * @property {number | null} position
 * @property {string | null} replaces
 * @property {string} text everything shown so far
 * @property {number} length of `text`, in Unicode code points
 *
 * @typedef {object} State
 * @property {import("./frames.js").Assistant | null} assistant
 * @property {{message_max_chars: number} | null} limits
 * @property {import("./frames.js").Conversation | null} conversation
 * @property {Message[]} messages by position, without the running answer
 * @property {boolean} more whether older messages can be asked for
 * @property {Turn | null} turn
 * @property {Record<string, ErrorFrame>} failures why a turn or a saved message got no answer, by turn or message id
 * @property {{id: string, message_id: string} | null} saved the sender's last message: its own id and ours
 * @property {boolean} isBehind a gap was seen: what is shown waits for `ready`
 *
 * @typedef {object} Step
 * @property {State} state
 * @property {string} added what is new at the end of the running answer
 * @property {"sync" | null} asks what the page has to send because of this frame
 *
 * @typedef {{message: Message, isRunning: boolean, isReplaced: boolean}} Entry
 */

/** @type {State} */
export const NOTHING = Object.freeze({
  assistant: null,
  limits: null,
  conversation: null,
  messages: [],
  more: false,
  turn: null,
  failures: {},
  saved: null,
  isBehind: false,
});

/**
 * Read one frame. Frames that say nothing about a conversation leave the state as it is.
 * @param {State} state
 * @param {ServerFrame} frame
 * @returns {Step}
 */
export function read(state, frame) {
  switch (frame.type) {
    case "ready":
      return step(ready(state, frame));
    case "message.saved":
      return saved(state, frame);
    case "message.added":
      return step({ ...state, messages: placed(state.messages, frame.message) });
    case "message.changed":
      return step(changed(state, frame.message));
    case "messages":
      return step(older(state, frame));
    case "turn.started":
      return started(state, frame);
    case "turn.delta":
      return delta(state, frame);
    case "turn.finished":
      return step({
        ...state,
        messages: placed(state.messages, frame.message),
        turn: state.turn?.id === frame.turn_id ? null : state.turn,
      });
    case "error":
      return step(failed(state, frame));
    default:
      return step(state);
  }
}

/**
 * Everything there is to show, in order. The running answer stands at its position, or last before it has one.
 * @param {State} state
 * @returns {Entry[]}
 */
export function entries(state) {
  const { messages, turn } = state;
  const replaced = new Set(messages.map((message) => message.replaces));
  if (turn) replaced.add(turn.replaces);
  const found = messages.map((message) => ({ message, isRunning: false, isReplaced: replaced.has(message.id) }));
  if (!turn) return found;
  const at = turn.position === null ? found.length : place(messages, turn.position);
  found.splice(at, 0, { message: answerOf(turn), isRunning: true, isReplaced: false });
  return found;
}

/**
 * The length in Unicode code points, as the server counts.
 * @param {string} text
 */
export function codePoints(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** @param {State} state @param {import("./frames.js").ReadyFrame} frame @returns {State} */
function ready(state, { assistant, limits, conversation, messages, more, turn }) {
  const isSame = conversation?.id === state.conversation?.id;
  return {
    assistant,
    limits,
    conversation,
    messages: [...messages],
    more,
    turn: turn && { ...turn, length: codePoints(turn.text) },
    failures: isSame ? state.failures : {},
    saved: isSame ? state.saved : null,
    isBehind: false,
  };
}

/** @param {State} state @param {import("./frames.js").SavedFrame} frame @returns {Step} */
function saved(state, { id, message, conversation }) {
  const record = { id, message_id: message.id };
  if (state.conversation && state.conversation.id !== conversation.id) {
    // What was shown had been closed: the message opened a conversation of its own.
    const fresh = { ...NOTHING, assistant: state.assistant, limits: state.limits };
    return lost({ ...fresh, conversation, messages: [message], saved: record });
  }
  return step({ ...state, conversation, messages: placed(state.messages, message), saved: record });
}

/** @param {State} state @param {Message} message @returns {State} */
function changed(state, message) {
  const isShown = state.messages.some(({ id }) => id === message.id);
  return isShown ? { ...state, messages: placed(state.messages, message) } : state;
}

/** @param {State} state @param {import("./frames.js").MessagesFrame} frame @returns {State} */
function older(state, { items, more }) {
  const known = new Set(items.map(({ id }) => id));
  return { ...state, messages: [...items, ...state.messages.filter(({ id }) => !known.has(id))], more };
}

/** @param {State} state @param {import("./frames.js").StartedFrame} frame @returns {Step} */
function started(state, { turn_id, message_id, replaces }) {
  if (state.turn?.id === turn_id) return step(state);
  const turn = { id: turn_id, message_id, position: null, replaces, text: "", length: 0 };
  const next = { ...state, turn };
  return state.turn ? lost(next) : step(next); // another turn was running: its end was missed
}

/** @param {State} state @param {import("./frames.js").DeltaFrame} frame @returns {Step} */
function delta(state, { turn_id, at, text, position }) {
  const { turn } = state;
  if (turn?.id !== turn_id) {
    const hasEnded = state.messages.some((message) => message.turn_id === turn_id);
    return hasEnded ? step(state) : lost(state);
  }
  if (at > turn.length) return lost(state);
  const added = at === turn.length ? text : withoutFirst(text, turn.length - at);
  const next = {
    ...turn,
    position: turn.position ?? position ?? null,
    text: turn.text + added,
    length: turn.length + codePoints(added),
  };
  return { state: { ...state, turn: next }, added, asks: null };
}

/** @param {State} state @param {ErrorFrame} error @returns {State} */
function failed(state, error) {
  const subject = error.turn_id ?? (error.id && error.id === state.saved?.id ? state.saved.message_id : null);
  return subject ? { ...state, failures: { ...state.failures, [subject]: error } } : state;
}

/** @param {State} state @returns {Step} */
function step(state) {
  return { state, added: "", asks: null };
}

/** Ask for the whole, once until it comes. @param {State} state @returns {Step} */
function lost(state) {
  return { state: { ...state, isBehind: true }, added: "", asks: state.isBehind ? null : "sync" };
}

/** @param {Turn} turn @returns {Message} */
function answerOf(turn) {
  const { id, message_id, position, replaces, text } = turn;
  const unknown = { created_at: null, rating: null, version: null };
  return { id: message_id, turn_id: id, position, role: "assistant", text, status: "streaming", replaces, ...unknown };
}

/**
 * The messages with this one at its position, in place of an older form of it.
 * @param {Message[]} messages
 * @param {Message} message
 * @returns {Message[]}
 */
function placed(messages, message) {
  const others = messages.filter(({ id }) => id !== message.id);
  others.splice(place(others, message.position ?? Infinity), 0, message);
  return others;
}

/** Where a position belongs; new messages come last, so it is looked for from the end. @param {Message[]} messages @param {number} position */
function place(messages, position) {
  let at = messages.length;
  while (at > 0 && (messages[at - 1].position ?? 0) > position) at -= 1;
  return at;
}

/** @param {string} text @param {number} count of code points to leave out */
function withoutFirst(text, count) {
  let at = 0;
  for (const character of text) {
    if (count === 0) break;
    count -= 1;
    at += character.length;
  }
  return text.slice(at);
}
