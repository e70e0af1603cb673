// What the tests of `markup.js` call in the page.

import { attack, violations } from "./attacks.js";
import { growAnswer, startAnswer, storm } from "./costs.js";
import { labels, newContainer } from "./messages.js";
import { randomCuts, randomFrom, randomText } from "./random_text.js";
import { MarkupStream, renderMarkup, speakable } from "/static/js/markup.js";

/**
 * Write a node shortly, without what is alike in all of its kind: `p("text" strong("bold"))`, the rows of a table as
 * `table(th("a") / td("1"))`, a link whose host is shown as `a[address]("words" @host)`.
 */
function outline(node) {
  if (node.nodeType === Node.TEXT_NODE) return JSON.stringify(node.data);
  const name = node.localName;
  const all = (nodes) => [...nodes].map(outline).filter(Boolean).join(" ");
  if (node.matches("div.code")) {
    return `code-block[${node.querySelector("header > span").textContent}](${all(node.querySelector("code").childNodes)})`;
  }
  if (node.matches("div.table")) return `table(${[...node.querySelectorAll("tr")].map((row) => all(row.cells)).join(" / ")})`;
  if (node.matches("span.host")) return `@${node.textContent}`;
  const children = node.matches("a:has(> bdi)") ? [...node.firstChild.childNodes, node.lastChild] : node.childNodes;
  const classes = node.className ? `.${node.className}` : "";
  const shown = ["href", "start"].filter((key) => node.hasAttribute(key)).map((key) => `[${node.getAttribute(key)}]`);
  return `${name}${classes}${shown.join("")}` + (children.length ? `(${all(children)})` : "");
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

/** The attributes of the first element that `selector` finds in a text. */
function attributes(text, selector) {
  const container = newContainer();
  renderMarkup(container, text, { labels });
  const found = container.querySelector(selector);
  container.remove();
  return Object.fromEntries([...found.attributes].map(({ name, value }) => [name, value]));
}

/** Show a text with code, press its button, and tell what is in the clipboard. */
async function copyCode(text) {
  renderMarkup(newContainer(), text, { labels });
  const block = document.querySelector(".code");
  const button = block.querySelector("button");
  button.click();
  await new Promise((resolve) => new MutationObserver(resolve).observe(button, { childList: true, subtree: true }));
  const language = block.querySelector("header > span").textContent;
  return { copied: await navigator.clipboard.readText(), label: button.textContent, language };
}

/** Where the characters of the place that is shown stand, from its left edge, in pixels: for each text a list. */
function placeWidths(texts) {
  return texts.map((text) => {
    const container = newContainer();
    renderMarkup(container, text, { labels });
    const words = container.querySelector(".host").firstChild;
    const range = document.createRange();
    const lefts = [...words.data].map((_, index) => {
      range.setStart(words, index);
      range.setEnd(words, index + 1);
      return range.getBoundingClientRect().left;
    });
    container.remove();
    return lefts.map((left) => Math.round(left - lefts[0]));
  });
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

/** The text that a stream says it was given. */
function textOf(deltas) {
  const stream = new MarkupStream(document.createElement("div"), { labels });
  deltas.forEach((delta) => stream.append(delta));
  stream.finish();
  return stream.text;
}

function appendAfterFinish() {
  const stream = new MarkupStream(document.createElement("div"), { labels });
  stream.finish();
  stream.append("more");
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

/** Stream some deltas and compare with the whole. @returns {string[]} what was wrong */
function streamAndCompare(deltas) {
  const wrong = [];
  const text = deltas.join("");
  const whole = newContainer();
  renderMarkup(whole, text, { labels });
  const container = newContainer();
  const observer = new MutationObserver(() => {});
  observer.observe(container, { childList: true, subtree: true, characterData: true, attributes: true });
  const growing = new MarkupStream(container, { labels });
  const watch = (step) => {
    const closed = closedElements(container);
    step();
    const changed = observer.takeRecords().find(({ target, attributeName }) => {
      const isColumn = attributeName === "class" && target.matches("th, td"); // it learns from its first cell
      return !isColumn && (closed.has(target) || closed.has(target.parentElement));
    });
    wrong.push(...violations(container));
    if (changed) wrong.push(`closed element changed: ${changed.target.outerHTML ?? changed.target.data}`);
  };
  for (const delta of deltas) watch(() => growing.append(delta));
  watch(() => growing.finish());
  if (growing.text !== text) wrong.push("other text");
  if (!container.isEqualNode(whole)) wrong.push(`other than the whole:\n${inside(container)}\n${inside(whole)}`);
  observer.disconnect();
  container.remove();
  whole.remove();
  return wrong;
}

/** The deltas that a seed stands for: what a failure names, to look into it. */
function randomDeltas(seed, most) {
  const random = randomFrom(seed);
  return randomCuts(random, randomText(random, most));
}

/** Stream the random texts of some seeds. @returns {string[]} what was wrong, and with which seed */
function streamAtRandom(from, to, most) {
  const wrong = [];
  for (let seed = from; seed < to && wrong.length < 5; seed += 1) {
    const deltas = randomDeltas(seed, most);
    wrong.push(...streamAndCompare(deltas).map((what) => `seed ${seed}: ${what}\n${JSON.stringify(deltas)}`));
  }
  return wrong;
}

window.markupTests = {
  appendAfterFinish, attack, attributes, copyCode, growAnswer, placeWidths, randomDeltas, render, speakable, startAnswer,
  storm, stream, streamAndCompare, streamAtRandom, textOf,
};
