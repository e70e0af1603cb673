// Runs of `*`, `_` and `~~`, and which of them make emphasis together: CommonMark's rules, but generous next to Chinese,
// Japanese and Korean characters, where `**重要。**然后` has no space that could tell an opener from a closer.

/** How far apart, in characters, two marks may stand that belong together. It bounds what an open mark can still change. */
export const REACH = 2000;

const PROMISE = 400; // while the text grows, an opener this far back at most is shown as if its closer had come
const OPEN_MAX = 32; // older openers give up
const DEPTH_MAX = 16;

const SPACE = /\s/u;
const MARK = /[\p{P}\p{S}]/u;
const CJK =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Hangul}\u3000-\u303f\uff00-\uffef]/u;

/**
 * @typedef {object} Run
 * @property {"run"} kind
 * @property {string} char   `*`, `_` or `~`
 * @property {number} size   characters in the source
 * @property {number} left   of these, not yet used up
 * @property {number} at     offset in the source
 * @property {boolean} hasClosed  some of it was used to close
 * @property {boolean} isSplit    some of it was used, and some is left or was used for something else
 * @property {boolean} opens
 * @property {boolean} closes
 * @property {boolean} isInWord  it stands after an ASCII letter or digit
 */

/** @param {string} text @param {number} at @param {number} size @returns {Run} */
export function readRun(text, at, size) {
  const char = text[at];
  const before = charBefore(text, at);
  const after = charAt(text, at + size);
  const [spaceBefore, spaceAfter] = [before, after].map((near) => near === "" || SPACE.test(near));
  const [markBefore, markAfter] = [before, after].map((near) => MARK.test(near));
  const isGenerous = char !== "_" && (CJK.test(before) || CJK.test(after));
  const leans = !spaceAfter && (!markAfter || spaceBefore || markBefore || isGenerous); // towards what follows
  const trails = !spaceBefore && (!markBefore || spaceAfter || markAfter || isGenerous);
  const usable = char !== "~" || size === 2; // a lone `~` stands for a range: 5~10
  return {
    kind: "run", char, size, left: size, at, hasClosed: false, isSplit: false, isInWord: /[A-Za-z0-9]/.test(before),
    opens: usable && leans && (char !== "_" || !trails || markBefore),
    closes: usable && trails && (char !== "_" || !leans || markAfter),
  };
}

/** @param {string} text @param {number} at */
function charAt(text, at) {
  return at < text.length ? String.fromCodePoint(text.codePointAt(at) ?? 0) : "";
}

/** @param {string} text @param {number} at */
function charBefore(text, at) {
  const isPair = at > 1 && /[\udc00-\udfff]/.test(text[at - 1]);
  return at > 0 ? charAt(text, at - (isPair ? 2 : 1)) : "";
}

/**
 * Put emphasis around what stands between runs that belong together.
 * @param {any[]} tokens in the order of the source
 * @param {{end: number, isOpen: boolean}} source where what is sure of it ends, and whether more may come
 * @returns {{nodes: any[], pendingAt: number}} `pendingAt`: the first run that what comes next may still close, else Infinity
 */
export function pairRuns(tokens, { end, isOpen }) {
  const nodes = [];
  /** @type {{run: Run, index: number}[]} where each opener stands in `nodes`; the innermost is last */
  let openers = [];
  for (const token of tokens) {
    if (token.kind !== "run") {
      nodes.push(token);
      continue;
    }
    openers = openers.filter(({ run }) => token.at - run.at <= REACH);
    if (token.closes) closeRun(token, nodes, openers);
    if (token.left === 0) continue;
    nodes.push(token);
    if (token.opens) openers.push({ run: token, index: nodes.length - 1 });
    if (openers.length > OPEN_MAX) openers.shift();
  }
  const pending = isOpen ? openers.filter(({ run }) => end - run.at <= REACH) : [];
  for (let inner = pending.length - 1; inner >= 0; inner -= 1) {
    const { run, index } = pending[inner];
    if (end - run.at <= PROMISE && !run.isInWord && run.left <= 3) nodes.push(promise(run, nodes.splice(index).slice(1)));
  }
  return { nodes, pendingAt: pending.length ? pending[0].run.at : Infinity };
}

/** @param {Run} closer @param {any[]} nodes @param {{run: Run, index: number}[]} openers */
function closeRun(closer, nodes, openers) {
  while (closer.left > 0) {
    const found = openers.findLastIndex(({ run }) => belongTogether(run, closer));
    if (found < 0) return;
    const { run, index } = openers[found];
    const children = nodes.splice(index + 1);
    const depth = depthOf(children);
    if (depth > DEPTH_MAX) {
      for (const child of children) nodes.push(child);
      openers.length = found;
      continue;
    }
    const size = Math.min(run.left, closer.left, 2);
    run.left -= size;
    closer.left -= size;
    closer.hasClosed = true;
    run.isSplit = run.left > 0 || run.hasClosed;
    closer.isSplit = closer.left > 0;
    openers.length = run.left ? found + 1 : found;
    if (!run.left) nodes.pop();
    nodes.push({ kind: nameOf(run.char, size), children, depth, at: run.at + run.left, isSplit: run.isSplit });
  }
}

/** Show an opener as if its closer stood at the end; it keeps its `char`, which it may yet become again. @param {Run} run @param {any[]} children */
function promise(run, children) {
  const { char, left, at, isSplit } = run;
  if (left === 3) return { kind: "em", children: [{ kind: "strong", children }], at, char, isSplit };
  return { kind: nameOf(char, left), children, at, char, isSplit };
}

/** @param {string} char @param {number} size */
function nameOf(char, size) {
  return char === "~" ? "del" : size === 2 ? "strong" : "em";
}

/** @param {{depth?: number}[]} children */
function depthOf(children) {
  return children.reduce((deepest, { depth = 0 }) => Math.max(deepest, depth), 0) + 1;
}

/** @param {Run} opener @param {Run} closer */
function belongTogether(opener, closer) {
  if (opener.char !== closer.char) return false;
  if (opener.char === "~" || !(opener.closes || closer.opens)) return true;
  return (opener.size + closer.size) % 3 !== 0 || (opener.size % 3 === 0 && closer.size % 3 === 0);
}
