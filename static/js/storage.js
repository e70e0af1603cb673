/**
 * What this browser keeps for us, as text by key. Where storage is full, or closed to pages (a privacy
 * setting), things are kept until the page is left.
 */

const PREFIX = "chat.";
/** @type {Map<string, string>} */
const fallback = new Map();

/** @param {string} key @returns {string | null} */
export function kept(key) {
  try {
    return localStorage.getItem(PREFIX + key) ?? fallback.get(key) ?? null;
  } catch {
    return fallback.get(key) ?? null;
  }
}

/** @param {string} key @param {string} value */
export function keep(key, value) {
  try {
    localStorage.setItem(PREFIX + key, value);
    fallback.delete(key);
  } catch {
    fallback.set(key, value);
  }
}

/** @param {string} key */
export function forget(key) {
  fallback.delete(key);
  try {
    localStorage.removeItem(PREFIX + key);
  } catch {
    // Closed: nothing was kept there either.
  }
}

/**
 * The keys that begin with `start`, in no order.
 * @param {string} start
 * @returns {string[]}
 */
export function keysFrom(start) {
  const found = new Set([...fallback.keys()].filter((key) => key.startsWith(start)));
  try {
    for (let at = 0; at < localStorage.length; at += 1) {
      const key = localStorage.key(at);
      if (key?.startsWith(PREFIX + start)) found.add(key.slice(PREFIX.length));
    }
  } catch {
    // Closed.
  }
  return [...found];
}
