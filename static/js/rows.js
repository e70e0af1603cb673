/**
 * From what is known to what stands in the list, top to bottom: separators, messages, what waits to be
 * sent. Pure: no DOM, and the clock is passed in.
 *
 * @typedef {import("./frames.js").Message} Message
 * @typedef {import("./frames.js").ErrorFrame} ErrorFrame
 * @typedef {import("./outbox.js").Item} Item
 * @typedef {{sign: "shield" | "check" | "clock" | "warn", text: string, item_id: string | null}} Foot
 *   `item_id` is set where the visitor may try again or remove
 *
 * @typedef {{key: string, kind: "day", text: string}} DayRow
 * @typedef {{key: string, kind: "unread"}} UnreadRow
 * @typedef {{key: string, kind: "question", text: string, at: number | null, foot: Foot | null}} QuestionRow
 * @typedef {{key: string, kind: "answer", message: Message, isRunning: boolean, isLast: boolean, isRetryable: boolean, showsWho: boolean, ending: string | null}} AnswerRow
 *   `ending` says how it ended, where that was not in good order
 * @typedef {{key: string, kind: "earlier", message: Message}} EarlierRow
 * @typedef {{key: string, kind: "agent", message: Message, showsWho: boolean}} AgentRow
 * @typedef {{key: string, kind: "refusal", text: string, sign: "shield" | "info"}} RefusalRow
 * @typedef {{key: string, kind: "event", text: string}} EventRow
 * @typedef {{key: string, kind: "older"}} OlderRow
 * @typedef {{key: string, kind: "welcome", greeting: string, starters: string[]}} WelcomeRow
 * @typedef {DayRow | UnreadRow | QuestionRow | AnswerRow | EarlierRow | AgentRow | RefusalRow | EventRow | OlderRow | WelcomeRow} Row
 *
 * @typedef {object} Around what is known beside the timeline
 * @property {Item[]} waiting in the outbox, for this conversation
 * @property {string | null} unreadFrom id of the first message that came while the visitor was away
 * @property {boolean} isAskingOlder older messages are on their way
 * @property {boolean} isAway the server is out of reach, and the page says so
 * @property {number} heldUntil when the next message may be sent, ms since 1970
 * @property {number} now ms since 1970
 */

import words from "words";
import { dayAndTimeOf, daysBefore } from "./dates.js";
import { sentenceFor } from "./refusals.js";
import { entries } from "./timeline.js";

const PAUSE_MS = 3600 * 1000;

/**
 * @param {import("./timeline.js").State} state
 * @param {Around} around
 * @returns {Row[]}
 */
export function rowsOf(state, around) {
  const found = entries(state);
  if (!found.length && !around.waiting.length) return state.conversation ? [] : welcome(state.assistant);
  const waiting = around.waiting.map((item) => waitingRow(item, around));
  const last = state.turn || waiting.length ? null : found.at(-1)?.message;
  /** @type {Row[]} */
  const rows = around.isAskingOlder ? [{ key: "older", kind: "older" }] : [];
  let speaker = "";
  /** @type {number | null} */
  let before = null;
  for (const { message, isRunning, isReplaced } of found) {
    const at = message.created_at === null ? null : Date.parse(message.created_at);
    if (at !== null) {
      if (before === null || at - before > PAUSE_MS || daysBefore(before, at) !== 0) {
        rows.push({ key: `day:${message.id}`, kind: "day", text: dayAndTimeOf(at, around.now) });
        speaker = "";
      }
      before = at;
    }
    if (message.id === around.unreadFrom) rows.push({ key: "unread", kind: "unread" });
    if (isRunning && message.position === null && waiting.length) {
      rows.push(...waiting.splice(0)); // what waits will be answered by it too
      speaker = "visitor";
    }
    if (isReplaced) rows.push({ key: `earlier:${message.id}`, kind: "earlier", message });
    else if (message.role === "visitor") rows.push(...question(message, at, state.failures[message.id]));
    else {
      const showsWho = speaker !== message.role;
      if (message.role === "agent") rows.push({ key: message.id, kind: "agent", message, showsWho });
      else {
        const ending = endingOf(message, state.failures[message.turn_id ?? ""]);
        const isLast = message === last;
        const isRetryable = isLast && state.conversation?.status === "open";
        rows.push({ key: message.id, kind: "answer", message, isRunning, isLast, isRetryable, showsWho, ending });
      }
    }
    speaker = isReplaced ? "" : rows.at(-1)?.kind === "refusal" ? "assistant" : message.role;
  }
  rows.push(...waiting);
  if (state.conversation?.status === "closed") rows.push({ key: "closed", kind: "event", text: words.closed });
  return rows;
}

/** @param {import("./frames.js").Assistant | null} assistant @returns {Row[]} */
function welcome(assistant) {
  return assistant ? [{ key: "welcome", kind: "welcome", greeting: assistant.greeting, starters: assistant.starters }] : [];
}

/** A question, and what is said about one that no model was asked. @param {Message} message @param {number | null} at @param {ErrorFrame | undefined} failure @returns {Row[]} */
function question(message, at, failure) {
  const refusal = refusalOf(message, failure);
  const row = /** @type {const} */ ({ key: message.id, kind: "question", text: message.text, at, foot: refusal?.foot ?? null });
  if (!refusal) return [row];
  return [row, { key: `refusal:${message.id}`, kind: "refusal", text: refusal.text, sign: refusal.sign }];
}

/** @param {Message} message @param {ErrorFrame | undefined} failure @returns {string | null} */
function endingOf({ status }, failure) {
  if (status === "stopped") return words.stopped;
  if (status === "interrupted") return words.interrupted;
  if (status !== "failed") return null;
  return failure ? sentenceFor(failure) : words.noAnswer;
}

/** @param {Message} message @param {ErrorFrame | undefined} failure @returns {{foot: Foot, text: string, sign: "shield" | "info"} | null} */
function refusalOf(message, failure) {
  if (message.status === "blocked") {
    return { foot: { sign: "shield", text: words.notSentToAssistant, item_id: null }, text: words.blockedInput, sign: "shield" };
  }
  if (failure?.code === "budget_exhausted") {
    return { foot: { sign: "check", text: words.savedOnly, item_id: null }, text: words.budgetExhausted, sign: "info" };
  }
  return null;
}

/** @param {Item} item @param {Around} around @returns {QuestionRow} */
function waitingRow(item, around) {
  return { key: `waiting:${item.id}`, kind: "question", text: item.text, at: item.made_at, foot: waitingFoot(item, around) };
}

/** @param {Item} item @param {Around} around @returns {Foot | null} */
function waitingFoot({ id, refused }, { isAway, heldUntil, now }) {
  if (refused) return { sign: "warn", text: words.notSent, item_id: id };
  if (isAway) return { sign: "clock", text: words.willBeSent, item_id: null };
  if (heldUntil > now) return { sign: "clock", text: words.waiting(Math.ceil((heldUntil - now) / 1000)), item_id: null };
  return null;
}
