/** A conversation as a file of the visitor's own: made in the browser, from what the browser was told. */

import words from "words";
import { dayAndTimeOf } from "./dates.js";

/**
 * @param {import("./timeline.js").State} state
 * @param {"text" | "json"} kind
 * @param {string} house whose assistant it is
 */
export function download(state, kind, house) {
  const title = state.conversation?.title || words.newConversation;
  const [body, type, ending] =
    kind === "json" ? [asJson(state), "application/json", "json"] : [asText(state, title, house), "text/plain;charset=utf-8", "txt"];
  const url = URL.createObjectURL(new Blob([body], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${title.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60)}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** @param {import("./timeline.js").State} state */
function asJson({ assistant, conversation, messages }) {
  const shown = messages.map(({ id, role, text, status, created_at, replaces, rating }) => ({
    id,
    role,
    text,
    status,
    created_at,
    replaces,
    rating,
  }));
  return JSON.stringify({ assistant: assistant?.name, conversation, messages: shown }, null, 2);
}

/** @param {import("./timeline.js").State} state @param {string} title @param {string} house */
function asText({ assistant, messages }, title, house) {
  const names = { visitor: words.you, assistant: `${assistant?.name} (AI)`, agent: words.team(house) };
  const parts = messages.map(({ role, text, created_at }) => {
    const at = created_at ? dayAndTimeOf(Date.parse(created_at), Date.parse(created_at) + 2 * 24 * 3600 * 1000) : "";
    return `${names[role]} · ${at}\n${text}\n`;
  });
  return [`${words.exported(title)}\n`, ...parts].join("\n");
}
