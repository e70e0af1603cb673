/** What the page says, in English. Every language has the same keys. */

/** @param {number} count @param {string} one @param {string} other */
const some = (count, one, other) => `${count.toLocaleString("en-GB")} ${count === 1 ? one : other}`;

export default {
  locale: "en-GB",

  newConversation: "New conversation",
  today: "Today",
  yesterday: "Yesterday",
  earlier: "Earlier",
  /** @param {string} day @param {string} time */
  dayAt: (day, time) => `${day}, ${time}`,
  noConversations: "Your conversations will stand here.",
  /** @param {string} query */
  nothingFound: (query) => `Nothing found for “${query}”.`,
  showMore: "Show more",
  writing: "Writing…",
  olderComing: "Earlier messages are coming…",

  you: "You",
  /** @param {string} house */
  team: (house) => `${house} team`,
  unread: "New",
  earlierAnswer: "Earlier answer",
  stillLooking: "Still looking that up",
  takesLonger: "This takes longer than usual",
  stopped: "You stopped this answer.",
  answerAgain: "Answer again",
  interrupted: "The answer was cut off.",
  noAnswer: "We could not get an answer just now. Your question is saved.",
  tryAgain: "Try again",
  withdrawn: "This answer was withdrawn because it did not meet our rules.",
  closed: "This conversation is closed. Your next message opens a new one.",

  copy: "Copy",
  copied: "Copied",
  code: "Code",
  /** @param {string} host */
  opensHost: (host) => `Opens ${host} in a new tab`,
  helpful: "Helpful",
  notHelpful: "Not helpful",
  whatWasWrong: "What was wrong? (optional)",
  send: "Send",
  thanks: "Thank you. We read every note.",

  notSentToAssistant: "Not sent to the assistant",
  savedOnly: "Saved",
  willBeSent: "Will be sent when you are back online",
  /** @param {number} seconds */
  waiting: (seconds) => `Waiting ${seconds} s`,
  notSent: "Not sent.",
  remove: "Remove",

  connecting: "Connecting…",
  reconnecting: "Reconnecting…",
  back: "Connected again",
  offline: "You are offline. Your messages are kept here.",
  reload: "That did not go through. Please reload the page.",

  /** @param {number} count */
  tooLong: (count) => `${some(count, "character", "characters")} too many. Please shorten your message.`,
  /** @param {number} seconds */
  rateLimited: (seconds) => `That was quick. You can send again in ${some(seconds, "second", "seconds")}.`,
  busy: "We are still answering your other questions. This one follows in a moment.",
  budgetExhausted: "The assistant is taking a break today. Your question is saved, and our team will see it.",
  blockedInput: "We can’t help with that here. You can put your question in other words.",
  unauthorized: "We started a new conversation for you.",
  notFound: "This conversation is no longer here.",
  /** @param {string | undefined} ref */
  internal: (ref) => `Something went wrong on our side. Please try again.${ref ? ` Reference ${ref}.` : ""}`,

  notWhole: "Not all of this conversation could be read just now. Please try again.",
  /** @param {string} title */
  exported: (title) => `Conversation: ${title}`,
};
