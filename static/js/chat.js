/** The chat page starts here: makes its parts and tells each what the others do. */

import words from "words";
import { setUpAppearance } from "./appearance.js";
import { Composer } from "./composer.js";
import { sentenceFor } from "./refusals.js";
import { route, setRoute } from "./route.js";
import { rowsOf } from "./rows.js";
import { Unread, arrivals } from "./unread.js";
import { ConnectionBand } from "./view/band.js";
import { ConversationList } from "./view/conversations.js";
import { part } from "./view/element.js";
import { Follower } from "./view/follow.js";
import { MessageList } from "./view/list.js";
import { setUpLanguage, setUpMenu, setUpSheet } from "./view/panel.js";
import { RefusedLine } from "./view/refused.js";
import { Speaker } from "./view/speaker.js";
import { Visit } from "./visit.js";

const NEAR_TOP_PX = 400;
const TICK_MS = 1_000;

const { assistant = "", name = "", house = "", socket = "" } = part(".chat-page").dataset;
const locale = document.documentElement.lang;
const section = part(".messages");
const heading = part(".conversation-head h1");

const url = new URL(socket, location.href);
url.protocol = url.protocol.replace("http", "ws");
const visit = new Visit({ url: url.href, assistant, locale, conversation_id: route() });

const speaker = new Speaker(part("[data-speech]"));
const follower = new Follower(section, part(".jump"));
const unread = new Unread();
const band = new ConnectionBand(part(".connection"), speaker, showSoon);
const refused = new RefusedLine(part(".refused"), speaker);
const list = new MessageList(section, {
  name,
  house,
  locale,
  speaker,
  ask: send,
  retry,
  rate: (message_id, feedback) => visit.rate(message_id, feedback),
  sendAgain: (item_id) => visit.outbox.again(item_id),
  remove,
});
const conversations = new ConversationList(
  part(".conversation-list"),
  /** @type {HTMLInputElement} */ (part(".conversations-tools input")),
  visit.shelf,
);
const composer = new Composer({ send, stop: () => visit.stop(), measure: (excess) => refused.measure(excess) });

/** What the page shows now. */
let shown = visit.state;
let here = visit.here;
let isDirty = true;
let isScheduled = false;
let isSwitching = false; // the visitor chose another conversation
let added = "";
/** @type {ReturnType<typeof setTimeout> | undefined} */
let tick;

/** @param {string} text */
function send(text) {
  unread.reset();
  visit.send(text);
  follower.toEnd();
}

/** @param {string} turn_id */
function retry(turn_id) {
  visit.retry(turn_id);
  section.focus({ preventScroll: true }); // the button goes away
}

/** @param {string} item_id */
function remove(item_id) {
  visit.outbox.remove(item_id);
  section.focus({ preventScroll: true });
}

function showSoon() {
  isDirty = true;
  paintSoon();
}

/** Paint at most once a frame, however many frames the server sent. */
function paintSoon() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    paint();
  });
}

function paint() {
  const { state } = visit;
  const isNews = added !== "" || state.turn?.id !== shown.turn?.id || state.messages.at(-1) !== shown.messages.at(-1);
  if (isDirty) show();
  else list.append(added);
  added = "";
  follower.grew(isNews);
}

/** Show everything that is known. */
function show() {
  const { state, outbox } = visit;
  const now = Date.now();
  const isMoved = visit.here !== here;
  const waiting = outbox.waitingIn(visit.here);
  isDirty = false;
  shown = state;
  here = visit.here;
  const { isAskingOlder } = visit;
  const { isAway } = band;
  const rows = rowsOf(state, { waiting, unreadFrom: unread.from, isAskingOlder, isAway, heldUntil: outbox.heldUntil, now });
  follower.steadily(() => list.show(rows));
  composer.show({
    draft: here || state.assistant ? `${assistant}.${here ?? "new"}` : null,
    isSwitching,
    maxChars: state.limits?.message_max_chars ?? Infinity,
    isRunning: state.turn !== null,
    isStopping: visit.isStopping,
    isHeld: refused.isHeld,
  });
  refused.show();
  conversations.show({ id: here, isWriting: state.turn !== null });
  showHead();
  if (isMoved) {
    setRoute(here);
    follower.toEnd();
    isSwitching = false;
  }
  clearTimeout(tick);
  if (refused.isHeld || (waiting.length && outbox.heldUntil > now)) tick = setTimeout(showSoon, TICK_MS);
}

/**
 * Say what answers do not say themselves: a person's messages, and why a question got no turn.
 * @param {import("./timeline.js").State} before
 * @param {import("./timeline.js").State} after
 */
function speakOf(before, after) {
  for (const { role, text } of arrivals(before, after)) if (role === "agent") speaker.say(`${words.team(house)}: ${text}`);
  for (const [id, error] of Object.entries(after.failures)) {
    if (!(id in before.failures) && !error.turn_id) speaker.say(sentenceFor(error));
  }
}

function showHead() {
  const { assistant, conversation } = visit.state;
  if (!assistant) return;
  heading.textContent = conversation?.title || words.newConversation;
  part("[data-assistant-line]").hidden = false;
  document.title = `${unread.count ? `(${unread.count}) ` : ""}${heading.textContent} · ${house}`;
}

visit.addEventListener("shown", (event) => {
  const before = /** @type {CustomEvent} */ (event).detail;
  if (before) {
    unread.read(before, visit.state, document.hidden);
    speakOf(before, visit.state);
  }
  if (document.hidden) showHead(); // nothing is painted, but the tab's title is seen
  showSoon();
});
visit.addEventListener("added", (event) => {
  added += /** @type {CustomEvent} */ (event).detail;
  paintSoon();
});
visit.addEventListener("notice", (event) => {
  const error = /** @type {CustomEvent} */ (event).detail;
  refused.tell(error);
  if (error.id === "conversation.open") {
    setRoute(visit.here); // it may have come and gone between two paintings
    isSwitching = false;
  }
  showSoon();
});
visit.addEventListener("status", () => band.show(visit.connection.status));
visit.shelf.addEventListener("change", showSoon);

section.addEventListener("scroll", () => section.scrollTop < NEAR_TOP_PX && !follower.isFollowing && void visit.older(), {
  passive: true,
});
addEventListener("hashchange", () => {
  const wanted = route();
  if (wanted === undefined) return;
  isSwitching = wanted !== visit.here;
  unread.reset();
  visit.open(wanted);
  showSoon();
  if (matchMedia("(hover: hover)").matches) composer.focus();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread.return();
  showSoon();
});
part(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the conversation
  composer.focus();
});

setUpSheet();
setUpLanguage();
setUpAppearance();
setUpMenu(visit, house, refused, paint);
if (matchMedia("(hover: hover)").matches) composer.focus();
showSoon();
visit.begin();
