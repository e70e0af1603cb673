/** Which of our languages a text is in, so that its `lang` says so where it differs from the page's. */

const HAN = /\p{Script=Han}/gu;
const LATIN_WORD = /\p{Script=Latin}{2,}/gu;
const LOOKED_AT = 400; // characters; the rest of a text is rarely in another language

/**
 * "zh-Hans" or "en" where that differs from the page's language, else null. A Chinese sentence may
 * name things in Latin letters, and the other way round: what there is more of decides.
 * @param {string} text
 * @param {string} pageLanguage
 */
export function otherLanguage(text, pageLanguage) {
  const start = text.slice(0, LOOKED_AT);
  const characters = start.match(HAN)?.length ?? 0;
  const words = start.match(LATIN_WORD)?.length ?? 0;
  if (characters > words) return pageLanguage.startsWith("zh") ? null : "zh-Hans";
  return words && pageLanguage.startsWith("zh") ? "en" : null;
}
