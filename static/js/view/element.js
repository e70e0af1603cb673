/** Building elements without markup: text enters the page as text. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | boolean | null>} [attributes] true writes an empty attribute, false and null none
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** An icon of the page's sprite, for the eye only. @param {string} name @param {boolean} [isSmall] */
export function icon(name, isSmall = false) {
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("class", isSmall ? "icon small" : "icon");
  made.setAttribute("aria-hidden", "true");
  made.append(document.createElementNS(SVG, "use"));
  setIcon(made, name);
  return made;
}

/** @param {SVGElement} svg @param {string} name */
export function setIcon(svg, name) {
  svg.firstElementChild?.setAttribute("href", `#i-${name}`);
}

/**
 * A button that is an icon only.
 * @param {string} name of the icon
 * @param {string} label
 * @param {() => void} act
 */
export function iconButton(name, label, act) {
  const made = element("button", { type: "button", class: "icon-button", "aria-label": label, title: label }, icon(name));
  made.addEventListener("click", act);
  return made;
}

/**
 * A small button of words, with an icon in front where one is named.
 * @param {string} label
 * @param {() => void} act
 * @param {string | null} [name] of the icon
 */
export function smallButton(label, act, name = null) {
  const made = element("button", { type: "button", class: "button small" }, name && icon(name, true), label);
  made.addEventListener("click", act);
  return made;
}

/** The part of the page that `selector` names; its absence is a fault of the template. @param {string} selector @param {ParentNode} [within] @returns {HTMLElement} */
export function part(selector, within = document) {
  const found = within.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`The page has no ${selector}.`);
  return found;
}
