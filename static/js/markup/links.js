// Which addresses a message may link to, and what must stand beside the link so that it cannot pass for another.

import { unescapeText } from "./entities.js";

const SCHEMES = new Set(["http:", "https:", "mailto:", "tel:"]);
const ADDRESS_MAX = 2000; // what browsers and mail programs agree on
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])$/; // browsers do not agree on what other characters in a host mean
const PRINTABLE_ASCII = /^[\x21-\x7e]+$/;

/**
 * @typedef {object} Target
 * @property {string} href
 * @property {string | null} host   host (and port) of a web address that is not ours, in ASCII; null: our own, or no web address
 * @property {string | null} place  what has to be shown: that host, or the mailbox or number; null: nothing
 */

/**
 * Read an address as written. A relative one is no link: what it leads to would depend on the page that shows it.
 * @param {string} address @returns {Target | null} null: shown as plain text
 */
export function readTarget(address) {
  const url = address.length <= ADDRESS_MAX ? parse(address) : null;
  if (!url || !SCHEMES.has(url.protocol)) return null;
  if (!url.protocol.startsWith("http")) return url.pathname ? { href: url.href, host: null, place: url.pathname } : null;
  if (!HOST.test(url.hostname)) return null;
  const host = url.host === globalThis.location?.host ? null : url.host;
  return { href: url.href, host, place: host };
}

/** @param {string} address */
function parse(address) {
  try {
    return new URL(address);
  } catch {
    return null;
  }
}

/**
 * Tell whether a link's own words already show the true place, in characters that cannot be mistaken:
 * `https://example.org/returns`, `example.org` or `help@example.org`.
 * @param {string} words @param {Target} target
 */
export function isEvident(words, target) {
  if (target.place === null) return true;
  if (target.href.startsWith("tel:")) return isSameNumber(words, target.place);
  if (!PRINTABLE_ASCII.test(words)) return false;
  const shown = words.toLowerCase().replace(/^(?:https?:\/\/|mailto:)/, "");
  if (!shown.startsWith(target.place.toLowerCase())) return false;
  const next = shown.charAt(target.place.length);
  return next === "" || (target.host !== null && "/?#".includes(next));
}

/** @param {string} words @param {string} number */
function isSameNumber(words, number) {
  return /^[\d\s()+./-]+$/.test(words) && words.replace(/[^\d+]/g, "") === number.replace(/[^\d+]/g, "");
}

const BARE = /(?:https?:\/\/|www\.(?=[a-z0-9]))[\w\-.~:/?#@!$&'(),;=%+]{0,2001}/iy; // as far as it could be an address
const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;

/**
 * Read the web address that stands bare in a text at `at`. It ends before white space, before any character beyond
 * ASCII (so that Chinese may follow without a space) and before punctuation that belongs to the sentence.
 * @param {string} text @param {number} at
 * @returns {{end: number, words: string, address: string, isAtEnd: boolean} | null} `isAtEnd`: it may go on with what
 *   comes next; one that is too long to be an address is read up to where that is sure, and its `address` is empty
 */
export function readBareAddress(text, at) {
  if (at > 0 && /[A-Za-z0-9]/.test(text[at - 1])) return null;
  BARE.lastIndex = at;
  const found = BARE.exec(text)?.[0];
  if (!found) return null;
  const after = at + found.length;
  const isAtEnd = after === text.length;
  if (found.length > ADDRESS_MAX) return { end: after, words: found, address: "", isAtEnd };
  const isHostOnly = !/[^:/]\//.test(found);
  const next = after < text.length ? String.fromCodePoint(text.codePointAt(after) ?? 0) : "";
  if (isHostOnly && /\p{L}/u.test(next) && !CJK.test(next)) return null; // half of a name such as münchen.example
  const written = withoutSentenceEnd(found);
  const words = unescapeText(written);
  const address = /^www\./i.test(words) ? `https://${words}` : words;
  return { end: at + written.length, words, address, isAtEnd };
}

/** @param {string} words */
function withoutSentenceEnd(words) {
  let end = words.length;
  let open = 0; // brackets opened and not closed: a closing one too many belongs to the sentence
  for (const char of words) open += char === "(" ? 1 : char === ")" ? -1 : 0;
  for (; end > 0; end -= 1) {
    const last = words[end - 1];
    if (last === ")" && open < 0) open += 1;
    else if (last === ";") end -= (/&[A-Za-z0-9]{1,31};$/.exec(words.slice(Math.max(0, end - 33), end))?.[0].length ?? 1) - 1;
    else if (!"?!.,:'_~&".includes(last)) break;
  }
  return words.slice(0, end);
}

const MAILBOX = /[A-Za-z0-9][\w.%+-]{0,63}@[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9][A-Za-z0-9-]*)+/g;

/** The mailboxes that stand bare in a text, in order. @param {string} text @returns {{at: number, end: number}[]} */
export function findMailboxes(text) {
  if (!text.includes("@")) return [];
  return [...text.matchAll(MAILBOX)]
    .filter(({ index }) => !/[\w.%+@-]/.test(text.charAt(index - 1))) // else it is the end of something longer
    .map(({ index, 0: found }) => ({ at: index, end: index + found.length }));
}
