/** Which of our languages a text is in, so that its `lang` says so where it differs from the page's. */

const HAN = /\p{Script=Han}/u;
const LATIN_WORD = /\p{Script=Latin}{2,}/u;
const LOOKED_AT = 400; // characters; the rest of a text is rarely in another language

/**
 * "zh-Hans" or "en" where that differs from the page's language, else null.
 * @param {string} text
 * @param {string} pageLanguage
 */
export function otherLanguage(text, pageLanguage) {
  const start = text.slice(0, LOOKED_AT);
  const isChinesePage = pageLanguage.startsWith("zh");
  if (HAN.test(start)) return isChinesePage ? null : "zh-Hans";
  return isChinesePage && LATIN_WORD.test(start) ? "en" : null;
}
