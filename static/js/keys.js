/**
 * Keys on a page: one letter clicks, or focuses, what carries it as `data-key`. They can be switched off,
 * which is kept, and are silent while one writes.
 */

const KEPT = "console.keys";
const WRITING = "input:not([type=checkbox]), textarea, select, [contenteditable]";

const choice = /** @type {HTMLInputElement | null} */ (document.querySelector("[data-keys]"));
if (choice) {
  choice.checked = isWanted();
  /** @type {HTMLElement} */ (choice.closest("label")).hidden = false;
  choice.addEventListener("change", () => keep(choice.checked));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing || !isWanted()) return;
  const from = /** @type {Element} */ (event.target);
  if (from.closest(WRITING)) {
    if (event.key === "Escape") /** @type {HTMLElement} */ (from).blur();
    return;
  }
  const key = event.key.toLowerCase();
  if (!/^[a-z]$/.test(key)) return;
  const meant = /** @type {HTMLElement | null} */ (document.querySelector(`[data-key="${key}"]`));
  if (!meant) return;
  event.preventDefault();
  if (meant.matches("input")) meant.focus();
  else meant.click();
});

document.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
document.querySelector(".is-meant")?.scrollIntoView({ block: "center" });

function isWanted() {
  try {
    return localStorage.getItem(KEPT) !== "off";
  } catch {
    return true; // Storage is closed to us: the keys work, and cannot be switched off for good.
  }
}

/** @param {boolean} isOn */
function keep(isOn) {
  try {
    localStorage.setItem(KEPT, isOn ? "on" : "off");
  } catch {
    // As above.
  }
}
