// The messages of a thread as a list of which only the visible part is in the page. Numbers make it exact: row `n` is
// message `n`, there or still to come, so the bar is right and any number can be jumped to. What is visible keeps its
// place while heights above it become known.
import { h, iconButton } from "./dom.js";
import { beginnings, pendingRow, rowOf } from "./message.js";

/** Pixels beyond the visible that are drawn. */
const BEYOND = 500;
/** Pixels from the end within which a list is at its end, and stays there. */
const AT_END = 48;
const GUESS = 52;

export class Timeline {
  /** `hooks`: what rows call, `{actions(message, at), jump(number)}`. */
  constructor(client, thread_id, hooks) {
    Object.assign(this, { client, thread_id, hooks, drawn: new Map(), heights: new Map(), pending: new Map(), version: 0 });
    Object.assign(this, { isAtEnd: true, anchor: null, marked: null, newFrom: null, sum: 0 });
    this.above = h("div", { class: "space" });
    this.rows = h("div", { "aria-label": "Messages" });
    this.below = h("div", { class: "space" });
    this.waiting = h("div", { role: "group", "aria-label": "Being sent" });
    this.scroller = h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Message history" },
      this.above, this.rows, this.below, this.waiting);
    this.latest = iconButton("back", "Go to the newest message", () => this.toEnd(), { class: "icon-button latest", hidden: true });
    this.element = h("div", { class: "timeline" }, this.scroller, this.latest);
    this.scroller.addEventListener("scroll", () => this.soon(), { passive: true });
    this.scroller.addEventListener("keydown", (event) => this.#key(event));
    this.resizing = new ResizeObserver(() => {
      if (this.width !== this.scroller.clientWidth) this.heights.clear();
      this.width = this.scroller.clientWidth;
      this.soon();
    });
    this.resizing.observe(this.scroller);
  }

  close() {
    this.resizing.disconnect();
    cancelAnimationFrame(this.frame);
    this.frame = -1;
  }

  get thread() {
    return this.client.model.threads.get(this.thread_id);
  }

  get known() {
    return this.client.model.timeline(this.thread_id);
  }

  /** Draws with the next frame. */
  soon(isAll = false) {
    if (isAll) this.version += 1;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  /** Shows where one left off: the first that is unread, else the end. */
  begin() {
    const { unread, read_number } = this.thread;
    if (unread > 0 && read_number + 1 >= this.known.first) {
      this.newFrom = read_number + 1;
      this.#anchorAt(this.newFrom, 80);
    }
    this.soon();
  }

  toEnd() {
    this.#anchorAt(null);
    this.marked = null;
    this.soon();
  }

  /** Shows a number in the upper part, marks it and focuses it. */
  jump(number) {
    this.marked = number;
    this.toFocus = number;
    this.#anchorAt(number, this.scroller.clientHeight / 3);
    this.soon(true);
  }

  draw() {
    const { thread, known } = this;
    if (!thread || !this.scroller.isConnected) return;
    this.#follow();
    const count = Math.max(0, thread.last_number - known.first + 1);
    this.#place(count);
    if (this.isAtEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
    else if (this.anchor) this.scroller.scrollTop = this.#top(this.anchor.number) - this.anchor.offset;
    const { scrollTop, clientHeight } = this.scroller;
    const from = this.#at(scrollTop - BEYOND, count);
    const to = this.#at(scrollTop + clientHeight + BEYOND, count);
    // A feed has articles.
    this.rows.role = count > 0 ? "feed" : "group";
    if (count > 0) this.#fill(from, to, count);
    this.#drawPending();
    const changed = this.#measure();
    if (changed) this.#place(count);
    this.above.style.height = `${this.tops[from] ?? 0}px`;
    this.below.style.height = `${Math.max(0, this.tops[count] - (this.tops[Math.min(count, to + 1)] ?? 0))}px`;
    if (this.isAtEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
    else if (this.anchor) this.scroller.scrollTop = this.#top(this.anchor.number) - this.anchor.offset;
    if (changed) this.soon();
    else if (known.rows.get(known.first + to)?.message) this.isAtEnd ||= this.#isNearEnd();
    this.settled = this.scroller.scrollTop;
    this.latest.hidden = this.isAtEnd;
    if (count > 0 && known.isOpen) this.client.ensure(this.thread_id, known.first + from, known.first + to);
    this.#focus();
    this.#read(count);
  }

  /** Where each row begins, by what is measured and a guess. */
  #place(count) {
    const guess = this.heights.size > 0 ? this.sum / this.heights.size : GUESS;
    if (this.tops?.length !== count + 1) this.tops = new Float64Array(count + 1);
    const { first } = this.known;
    for (let i = 0; i < count; i++) this.tops[i + 1] = this.tops[i] + (this.heights.get(first + i) ?? guess);
  }

  #top(number) {
    return this.tops[Math.max(0, Math.min(this.tops.length - 1, number - this.known.first))];
  }

  /** The row at a height. */
  #at(y, count) {
    let [low, high] = [0, Math.max(0, count - 1)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #fill(from, to, count) {
    const { first, rows } = this.known;
    for (const [number, { element }] of this.drawn) {
      if (number >= first + from && number <= first + to) continue;
      if (element.contains(document.activeElement)) this.scroller.focus({ preventScroll: true });
      element.remove();
      this.drawn.delete(number);
    }
    let next = this.rows.firstChild;
    for (let number = first + from; number <= first + to; number++) {
      const row = rows.get(number) ?? { number, message: null, notices: [], stamp: 0 };
      const before = rows.get(number - 1)?.message;
      const state = row.message?.sender_id === this.client.me ? this.client.model.stateOf(this.thread, number) : "";
      const starts = beginnings(row.message, before);
      const isNew = number === this.newFrom;
      const look = `${row.stamp} ${state} ${starts.day} ${starts.run} ${isNew} ${this.version} ${row.isVoid}`;
      const had = this.drawn.get(number);
      if (had?.look === look) {
        if (had.element === next) next = next.nextSibling;
        else this.rows.insertBefore(had.element, next);
        continue;
      }
      const at = { client: this.client, thread: this.thread, hooks: this.hooks, before, state, isNew };
      const element = rowOf(row, { ...at, place: number - first + 1, size: count });
      if (number === this.marked) element.classList.add("marked");
      if (had) {
        const isFocused = had.element.contains(document.activeElement);
        if (had.element === next) next = next.nextSibling;
        had.element.replaceWith(element);
        if (isFocused) element.focus({ preventScroll: true });
      } else this.rows.insertBefore(element, next);
      this.drawn.set(number, { element, look });
    }
  }

  #drawPending() {
    const shown = this.client.outbox.of(this.thread_id).filter((entry) => {
      const { number } = entry.answer ?? {};
      return !number || !this.known.rows.get(number)?.message;
    });
    const looks = shown.map((entry) => `${entry.key} ${entry.failed}`).join();
    if (looks === this.waitingLooks) return;
    if (shown.length > this.waiting.childElementCount) this.isAtEnd = true;
    this.waitingLooks = looks;
    this.waiting.replaceChildren(...shown.map((entry) => pendingRow(entry, { client: this.client, hooks: this.hooks })));
  }

  /** Whether a height is another than was thought. */
  #measure() {
    const all = [...this.drawn].map(([number, { element }]) => [number, element.getBoundingClientRect().height]);
    const changed = all.filter(([number, height]) => this.heights.get(number) !== height);
    for (const [number, height] of changed) this.heights.set(number, height);
    if (changed.length > 0) this.sum = [...this.heights.values()].reduce((sum, height) => sum + height, 0);
    return changed.length > 0;
  }

  /** Where somebody has scrolled to is where things stay; our own setting of it tells nothing. */
  #follow() {
    const { scrollTop } = this.scroller;
    if (this.settled === undefined || Math.abs(scrollTop - this.settled) < 1) return;
    this.settled = scrollTop;
    this.isAtEnd = this.#isNearEnd();
    const number = this.known.first + this.#at(scrollTop, this.tops.length - 1);
    this.anchor = this.isAtEnd ? null : { number, offset: this.#top(number) - scrollTop };
  }

  #isNearEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < AT_END;
  }

  /** Has a number stay where it is put; none: the end. */
  #anchorAt(number, offset = 0) {
    this.isAtEnd = number === null;
    this.anchor = this.isAtEnd ? null : { number, offset };
    this.settled = this.scroller.scrollTop;
  }

  #focus() {
    const element = this.drawn.get(this.toFocus)?.element;
    if (!element || !this.known.rows.get(this.toFocus)?.message) return;
    this.toFocus = null;
    element.focus({ preventScroll: true });
  }

  /** What was seen to its end by somebody who looks is read. */
  #read(count) {
    if (document.hidden || !document.hasFocus() || count === 0) return;
    const { first, rows } = this.known;
    const bottom = this.scroller.scrollTop + this.scroller.clientHeight + 8;
    let number = first + this.#at(bottom, count);
    if (this.tops[number - first + 1] > bottom) number -= 1;
    if (number >= first && rows.get(number)?.message) this.client.read(this.thread_id, number);
  }

  #key(event) {
    const row = event.target.closest?.(".row");
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step && event.target === row) (step < 0 ? row.previousElementSibling : row.nextElementSibling)?.focus();
    else if (step < 0 && event.target === this.scroller) this.rows.lastElementChild?.focus();
    else if (event.key === "Enter" && event.target === row) row.querySelector(".row-more")?.click();
    else if (event.key === "End") this.toEnd();
    else return;
    event.preventDefault();
  }
}
