// Character references and backslash escapes, as CommonMark reads them; of the named ones those that people write.

const LATIN_1 = // in order from U+00A0
  "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro " +
  "para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil " +
  "Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave " +
  "Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml " +
  "igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute " +
  "thorn yuml";

const NAMED = new Map([
  ...LATIN_1.split(" ").map((name, index) => [name, String.fromCharCode(0xa0 + index)]),
  ...Object.entries({
    amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", ndash: "–", mdash: "—", lsquo: "‘", rsquo: "’", sbquo: "‚",
    ldquo: "“", rdquo: "”", bdquo: "„", bull: "•", hellip: "…", prime: "′", Prime: "″", lsaquo: "‹", rsaquo: "›",
    euro: "€", trade: "™", larr: "←", uarr: "↑", rarr: "→", darr: "↓", harr: "↔", minus: "−", infin: "∞", asymp: "≈",
    ne: "≠", le: "≤", ge: "≥", OElig: "Œ", oelig: "œ", Scaron: "Š", scaron: "š", check: "✓", star: "☆", hearts: "♥",
    ensp: "\u2002", emsp: "\u2003", thinsp: "\u2009",
  }),
]);

const REFERENCE = "&(?:#[xX][0-9a-fA-F]{1,6}|#[0-9]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});";
const REFERENCE_HERE = new RegExp(REFERENCE, "y");
const ESCAPED = new RegExp(`\\\\([!-/:-@[-\`{-~])|${REFERENCE}`, "g");

/** @param {string} body what stands between `&` and `;` @returns {string | undefined} */
function decode(body) {
  if (!body.startsWith("#")) return NAMED.get(body);
  const isHex = body[1] === "x" || body[1] === "X";
  const code = isHex ? parseInt(body.slice(2), 16) : parseInt(body.slice(1), 10);
  const isCharacter = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  return isCharacter ? String.fromCodePoint(code) : "\ufffd";
}

/**
 * Read the character reference that begins at `at`.
 * @param {string} text @param {number} at
 * @returns {{text: string, end: number} | null} null: there is none that we know
 */
export function readReference(text, at) {
  REFERENCE_HERE.lastIndex = at;
  const found = REFERENCE_HERE.exec(text)?.[0];
  const decoded = found && decode(found.slice(1, -1));
  return decoded === undefined || !found ? null : { text: decoded, end: at + found.length };
}

/** Undo the escapes of a link's address. @param {string} text */
export function unescapeText(text) {
  return text.replace(ESCAPED, (found, escaped) => escaped ?? decode(found.slice(1, -1)) ?? found);
}
