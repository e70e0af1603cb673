/** Dates and times as the visitor's language writes them. All functions take ms since 1970 and use the visitor's time zone. */

import words from "words";

const DAY_MS = 24 * 3600 * 1000;

const clock = new Intl.DateTimeFormat(words.locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayAndMonth = new Intl.DateTimeFormat(words.locale, { day: "numeric", month: "short" });
const dayOfAnotherYear = new Intl.DateTimeFormat(words.locale, { day: "numeric", month: "short", year: "numeric" });

/** "14:21" @param {number} at */
export const timeOf = (at) => clock.format(at);

/**
 * Whole days between two instants by the calendar: 0 is the same day.
 * @param {number} at
 * @param {number} now
 */
export function daysBefore(at, now) {
  const midnight = (/** @type {number} */ instant) => new Date(instant).setHours(0, 0, 0, 0);
  return Math.round((midnight(now) - midnight(at)) / DAY_MS);
}

/** "Today", "Yesterday", "12 Nov", "12 Nov 2025" @param {number} at @param {number} now */
export function dayOf(at, now) {
  const days = daysBefore(at, now);
  if (days === 0) return words.today;
  if (days === 1) return words.yesterday;
  return dateOf(at, now);
}

/** "Today, 14:18" @param {number} at @param {number} now */
export const dayAndTimeOf = (at, now) => words.dayAt(dayOf(at, now), timeOf(at));

/** "14:21" for today and yesterday, else "12 Nov" @param {number} at @param {number} now */
export const shortOf = (at, now) => (daysBefore(at, now) <= 1 ? timeOf(at) : dateOf(at, now));

/** @param {number} at @param {number} now */
function dateOf(at, now) {
  const isThisYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return (isThisYear ? dayAndMonth : dayOfAnotherYear).format(at);
}
