// What the tests of `markup.js` call in the page.

import { attack } from "./attacks.js";
import { labels, newContainer } from "./messages.js";
import { randomCuts, randomFrom, randomText } from "./random_text.js";
import { MarkupStream, renderMarkup, speakable } from "/static/js/markup.js";

/** Write a node shortly: `p(text strong(bold))`, without what every link and every code block has alike. */
function outline(node) {
  if (node.nodeType === Node.TEXT_NODE) return JSON.stringify(node.data);
  const name = node.localName;
  if (node.matches("div.code")) {
    const language = node.querySelector("header > span").textContent;
    return `code-block[${language}](${[...node.querySelector("code").childNodes].map(outline).join(" ")})`;
  }
  if (node.matches("div.table")) return [...node.childNodes].map(outline).join(" ");
  const classes = node.className ? `.${node.className}` : "";
  const shown = ["href", "start"].filter((key) => node.hasAttribute(key)).map((key) => `[${node.getAttribute(key)}]`);
  return `${name}${classes}${shown.join("")}` + (node.childNodes.length ? `(${[...node.childNodes].map(outline).join(" ")})` : "");
}

function inside(container) {
  return [...container.childNodes].map(outline).join(" ");
}

function render(text) {
  const container = newContainer();
  renderMarkup(container, text, { labels });
  const result = inside(container);
  container.remove();
  return result;
}

/** What is shown after each delta, and at the end. */
function stream(deltas) {
  const container = newContainer();
  const growing = new MarkupStream(container, { labels });
  const seen = deltas.map((delta) => {
    growing.append(delta);
    return inside(container);
  });
  growing.finish();
  seen.push(inside(container));
  container.remove();
  return seen;
}

/** The elements that no later text may change: all but the last one, the last one in it, and so on; of a row, no cell is closed. */
function closedElements(container) {
  const open = new Set();
  for (let last = container; last; last = last.lastElementChild) {
    open.add(last);
    if (last.localName === "tr") [...last.cells].forEach((cell) => open.add(cell));
  }
  return new Set([...container.querySelectorAll("*")].filter((element) => !open.has(element)));
}

/**
 * Stream random texts in random cuts, and compare with the whole.
 * @returns {string[]} what was wrong: the seed, what, the deltas
 */
function streamAtRandom(from, to, most) {
  const wrong = [];
  for (let seed = from; seed < to && wrong.length < 5; seed += 1) {
    const random = randomFrom(seed);
    const text = randomText(random, most);
    const deltas = randomCuts(random, text);
    const whole = newContainer();
    renderMarkup(whole, text, { labels });

    const container = newContainer();
    const observer = new MutationObserver(() => {});
    observer.observe(container, { childList: true, subtree: true, characterData: true, attributes: true });
    const growing = new MarkupStream(container, { labels });
    const fail = (what, more = "") => wrong.push(`${seed}: ${what}\n${JSON.stringify(deltas)}\n${more}`);
    const watch = (step) => {
      const closed = closedElements(container);
      step();
      const changed = observer.takeRecords().find(({ target, attributeName }) =>
        (closed.has(target) || closed.has(target.parentElement)) && attributeName !== "class"); // a column learns from its first cell
      if (changed) fail("closed element changed", changed.target.outerHTML ?? changed.target.data);
    };
    for (const delta of deltas) watch(() => growing.append(delta));
    watch(() => growing.finish());
    if (growing.text !== text) fail("text");
    if (!container.isEqualNode(whole)) fail("other than the whole", `${inside(container)}\n${inside(whole)}`);
    observer.disconnect();
    container.remove();
    whole.remove();
  }
  return wrong;
}

window.markupTests = { attack, render, stream, streamAtRandom, speakable };
