// Streams the attack samples into messages, and looks after every delta at what a message must never do.

import { MarkupStream } from "/static/js/markup.js";
import { labels, newContainer } from "./messages.js";

const ALLOWED = new Set(
  "a bdi blockquote br button code del div em h2 h3 h4 header hr li ol p pre span strong table tbody td th thead tr ul".split(" "),
);
const ATTRIBUTES = new Set("aria-label class dir href rel role scope start tabindex target title type".split(" "));
const CLASSES = /^(?:answer|code|table|short|host|number|center|button bare small|)$/;
const SCHEMES = ["http:", "https:", "mailto:", "tel:"];

/** Everything outside the messages that a message could be tempted to change. */
function surroundings() {
  const composer = document.getElementById("composer");
  const field = composer.querySelector("textarea");
  const box = composer.getBoundingClientRect();
  const atCentre = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return JSON.stringify({
    title: document.title,
    base: document.baseURI,
    address: location.href,
    cookie: document.cookie,
    storage: localStorage.length + sessionStorage.length,
    names: Object.getOwnPropertyNames(window).filter((name) => !Number.isInteger(Number(name))).sort(),
    frames: window.length,
    forms: document.forms.length,
    styles: document.styleSheets.length,
    head: document.head.innerHTML,
    outside: [...document.body.children].filter((element) => element.id !== "messages").map((element) => element.outerHTML),
    composer: [box.x, box.y, box.width, box.height, getComputedStyle(composer).visibility, composer.contains(atCentre)],
    focus: document.activeElement === field,
  });
}

/** What is wrong inside a message. @param {HTMLElement} container @returns {string[]} */
export function violations(container) {
  const wrong = [];
  for (const element of container.querySelectorAll("*")) {
    if (!ALLOWED.has(element.localName) || element.namespaceURI !== "http://www.w3.org/1999/xhtml") wrong.push(`element ${element.localName}`);
    for (const { name, value } of element.attributes) {
      if (!ATTRIBUTES.has(name)) wrong.push(`attribute ${name}`);
      if (name === "class" && !CLASSES.test(value)) wrong.push(`class ${value}`);
    }
    if (element.localName === "button" && !element.matches(".code > header > button[type=button]")) wrong.push("button");
    if (element.localName === "a") wrong.push(...linkViolations(element));
  }
  return wrong;
}

/** @param {HTMLAnchorElement} link */
function linkViolations(link) {
  const url = new URL(link.href);
  const wrong = [];
  if (!SCHEMES.includes(url.protocol)) wrong.push(`link to ${link.href}`);
  if (link.rel !== "noopener noreferrer nofollow" || link.target !== "_blank") wrong.push("link without its guards");
  const isForeign = url.protocol.startsWith("http") && url.host !== location.host;
  if (isForeign && !link.textContent.toLowerCase().includes(url.host)) wrong.push(`link that hides ${url.host}`);
  return wrong;
}

const KEPT = 100; // messages that stay on the page; more would only make each look slower

/**
 * Run attacks, each in a message of its own. What loads or runs late is for the caller to notice.
 * @param {{id: string, deltas: string[], whole: string, expect?: {visible_text?: string, selector?: string}}[]} runs
 * @returns {string[]} what was wrong
 */
export function attack(runs) {
  const wrong = [];
  document.querySelector("#composer textarea").focus();
  const before = surroundings();
  for (const { id, deltas, whole, expect = {} } of runs) {
    const container = newContainer();
    if (container.parentElement.childElementCount > KEPT) container.parentElement.firstElementChild.remove();
    const stream = new MarkupStream(container, { labels });
    const look = (when) => {
      for (const what of violations(container)) wrong.push(`${id} ${when}: ${what}`);
      if (window.__ran) wrong.push(`${id} ${when}: script ran: ${window.__ran.splice(0)}`);
      if (surroundings() !== before) wrong.push(`${id} ${when}: the page around it changed: ${surroundings()} was ${before}`);
    };
    deltas.forEach((delta, index) => {
      stream.append(delta);
      look(`delta ${index}`);
    });
    stream.finish();
    look("at the end");
    if (stream.text !== whole) wrong.push(`${id}: other text`);
    if (expect.visible_text && !container.textContent.includes(expect.visible_text)) wrong.push(`${id}: text is not shown: ${container.textContent}`);
    if (expect.selector && !container.querySelector(expect.selector)) wrong.push(`${id}: no ${expect.selector}`);
  }
  return wrong;
}
