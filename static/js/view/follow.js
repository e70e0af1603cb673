/**
 * Keeps the end of the list in view while the reader is there, and leaves the reader alone otherwise.
 * Where something new came below, a button leads to it.
 */

const NEAR_PX = 48;
const SCROLLING_MS = 150; // while the reader's hand is on the wheel, the list does not pull back

export class Follower {
  #isFollowing = true;
  #movedAt = -Infinity;
  #expectedTop = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #settled;

  /** @param {HTMLElement} list @param {HTMLElement} jump */
  constructor(list, jump) {
    this.list = list;
    this.jump = jump;
    list.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    jump.addEventListener("click", () => {
      this.toEnd();
      list.focus({ preventScroll: true });
    });
    new ResizeObserver(() => this.#isFollowing && this.#pin()).observe(list);
  }

  get isFollowing() {
    return this.#isFollowing;
  }

  /** Show the end, and stay there. */
  toEnd() {
    this.#isFollowing = true;
    this.#movedAt = -Infinity;
    this.#pin();
  }

  /** Something grew at the end. @param {boolean} isNews worth pointing at, if the reader is elsewhere */
  grew(isNews) {
    if (!this.#isFollowing) {
      if (isNews) this.jump.hidden = false;
    } else if (performance.now() - this.#movedAt > SCROLLING_MS) this.#pin();
  }

  /**
   * Change the list while what the reader looks at stays where it is.
   * @param {() => void} change
   */
  steadily(change) {
    const anchor = this.#isFollowing ? null : this.#firstVisible();
    const before = anchor?.getBoundingClientRect().top ?? 0;
    change();
    if (anchor?.isConnected) this.#moveTo(this.list.scrollTop + anchor.getBoundingClientRect().top - before);
  }

  #firstVisible() {
    const top = this.list.getBoundingClientRect().top;
    return [...this.list.querySelectorAll(".message")].find((each) => each.getBoundingClientRect().bottom > top) ?? null;
  }

  #pin() {
    this.jump.hidden = true;
    this.#moveTo(this.list.scrollHeight - this.list.clientHeight);
  }

  /** @param {number} top */
  #moveTo(top) {
    this.list.scrollTop = top;
    this.#expectedTop = this.list.scrollTop;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.list;
    this.#isFollowing = scrollHeight - scrollTop - clientHeight <= NEAR_PX;
    if (this.#isFollowing) this.jump.hidden = true;
    if (scrollTop === this.#expectedTop) return; // our own doing
    this.#expectedTop = scrollTop;
    this.#movedAt = performance.now();
    clearTimeout(this.#settled);
    this.#settled = setTimeout(() => this.#isFollowing && this.#pin(), SCROLLING_MS);
  }
}
