/** What has the focus, by name; null is nothing. Throws where one cannot see that it has. */
() => {
  const focused = document.activeElement;
  if (!focused || focused === document.body) return null;
  const isRinged = getComputedStyle(focused).outlineStyle !== "none";
  const name = focused.getAttribute("aria-label") ?? focused.labels?.[0]?.textContent ?? focused.querySelector("strong")?.textContent;
  if (!isRinged && !focused.matches("form:focus-within textarea")) throw new Error(`no ring around ${focused.outerHTML}`);
  return (name ?? focused.textContent).trim();
};
