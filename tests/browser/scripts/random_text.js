// Random texts that are full of marks, the same for the same seed.

const PIECES = [
  "word ", "Some words here, and more. ", "a", "x_y", "2*3*4", "5~10", "你好", "重要。", "“引号”", "，", "😀", "👩‍👧", "é", "\u3000", "\u00a0", " ", "  ", "\t",
  "\n", "\n", "\n", "\n\n", "\n\n", "  \n", "\\\n", "\r\n", "\r", "\n    ", "\n  ", "\n   ", "\n\t",
  "*", "**", "***", "****", "_", "__", "~~", "~", "`", "``", "```", "\n```\n", "\n```py\n", "\n~~~\n", "\\", "\\*", "\\`", "\\|", "\\\\",
  "[", "]", "(", ")", "![", "](", "[docs](https://example.org/a)", "](https://example.org/b_c_d)", "[x](/y)", "<", ">", "<https://a.example>",
  "<b>", "https://a.example/p?q=1&r=2", "http://b.example", "www.c.example", "://", "https:", "help@shop.example", "@", "(see https://d.example/x).",
  "&amp;", "&lt;", "&", "&#", "&#x41;", ";", "&nbsp;", "- ", "\n- ", "\n* ", "\n+ x", "\n1. ", "\n2) ", "1", ". ", "\n10. ", "\n- [ ] ", "\n- [x] do",
  "\n> ", ">", "\n>> ", "\n# ", "\n## Title ##", "#", "\n---\n", "\n***\n", "---", "\n===\n", "|", " | ", "\n| a | b |\n|---|--:|\n", "\n| 1 | 2 |",
  "\n|---|\n", "\na | b\n- | -\n", "\n:-", "-|-", "**bold** ", "*it* ", "`code` ", "**重要**。", "\0", "'", '"', "title\")", " 'x')", "!", "=",
  "<img src=x onerror=top.__xssRan(1)>", "[x](javascript:top.__xssRan(2))", "![x](https://tracker.invalid/x.gif)", "<javascript:top.__xssRan(3)>",
];

/** A small generator of numbers in [0, 1). @param {number} seed */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** @param {() => number} random @param {number} most pieces */
export function randomText(random, most) {
  const pieces = random() < 0.2 ? PIECES.filter((piece) => !/[\r\n]/.test(piece)) : PIECES; // all in one paragraph
  const favourites = Array.from({ length: 6 }, () => pieces[Math.floor(random() * pieces.length)]);
  const size = 1 + Math.floor(random() * most);
  return Array.from({ length: size }, () => {
    const from = random() < 0.4 ? favourites : pieces;
    return from[Math.floor(random() * from.length)];
  }).join("");
}

/** Cut a text at random places, also inside a pair of surrogates. @param {() => number} random @param {string} text */
export function randomCuts(random, text) {
  const typical = random() < 0.3 ? 1 : 1 + Math.floor(random() * 12);
  const deltas = [];
  for (let at = 0; at < text.length; ) {
    const size = 1 + Math.floor(random() * typical);
    deltas.push(text.slice(at, at + size));
    at += size;
  }
  return deltas;
}
