/** What the page says for each error code. A code it does not know brings its own sentence. */

import words from "words";

/**
 * @param {import("./frames.js").ErrorFrame} error
 * @returns {string}
 */
export function sentenceFor({ code, text, ref, retry_after_s }) {
  switch (code) {
    case "bad_frame":
    case "conflict":
      return words.reload;
    case "rate_limited":
      return retry_after_s ? words.rateLimited(retry_after_s) : text;
    case "busy":
      return words.busy;
    case "budget_exhausted":
      return words.budgetExhausted;
    case "blocked_input":
      return words.blockedInput;
    case "model_unavailable":
      return words.noAnswer;
    case "unauthorized":
      return words.unauthorized;
    case "not_found":
      return words.notFound;
    case "internal":
      return words.internal(ref);
    default:
      return text;
  }
}
