/**
 * Which conversation an address names: `#/new`, `#/<id>`, or none. The address is the tab's own memory
 * of what it shows: it survives a reload and can be opened in another tab.
 */

/** @returns {string | null | undefined} null for a new one, undefined where the address says nothing */
export function route() {
  if (location.hash === "#/new") return null;
  return location.hash.startsWith("#/") ? decodeURIComponent(location.hash.slice(2)) : undefined;
}

/** @param {string | null} conversation_id null for one that does not exist yet */
export function setRoute(conversation_id) {
  const hash = conversation_id === null ? (route() === null ? "#/new" : "") : `#/${encodeURIComponent(conversation_id)}`;
  if (location.hash !== hash) history.replaceState(null, "", hash || location.pathname + location.search);
}
