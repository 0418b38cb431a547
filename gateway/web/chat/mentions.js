// Whom a text names: after an `@`, members are offered whose names go on like what is typed. The text keeps the focus.
import { h } from "./dom.js";

const MOST = 6;
/** In larger groups only those are looked up whose shown name fits. */
const FEW = 64;

export class Mentions {
  constructor(client, thread_id, text) {
    Object.assign(this, { client, thread_id, text, members: [], offered: [], chosen: 0 });
    this.element = h("ul", { id: "mentions", class: "mentions", role: "listbox", "aria-label": "Members", hidden: true });
    text.addEventListener("blur", () => this.#show([]));
  }

  /** What stands between an `@` and the caret; undefined where there is none. */
  get #typed() {
    return /(?<![\p{L}\p{N}])@([^\s@]*)$/u.exec(this.text.value.slice(0, this.text.selectionStart))?.[1].toLowerCase();
  }

  async changed() {
    const { client, thread_id } = this;
    const isAsked = this.#typed !== undefined && client.model.threads.get(thread_id)?.kind === "group";
    if (isAsked && this.offered.length === 0) this.members = await client.members(thread_id).catch(() => []);
    this.left = null;
    this.draw();
  }

  /** Offers who is known by now. */
  draw() {
    const [{ client, members, text }, typed] = [this, this.#typed];
    if (typed === undefined || text.value === this.left || document.activeElement !== text) return this.#show([]);
    const all = members.filter(({ user_id }) => user_id !== client.me).map(({ user_id, display_name }) => {
      const isCalled = (display_name ?? "").toLowerCase().split(/\s+/).some((word) => word.startsWith(typed));
      const username = (isCalled || members.length <= FEW) && client.meet(user_id)?.username;
      return username && (isCalled || username.startsWith(typed)) && { username, name: client.model.nameOf(user_id) };
    });
    const found = all.filter(Boolean).slice(0, MOST);
    this.#show(found, Math.max(0, found.findIndex(({ username }) => username === this.offered[this.chosen]?.username)));
  }

  /** Whether a key was for the list. */
  key(event) {
    const [step, { length }] = [{ ArrowDown: 1, ArrowUp: -1 }[event.key], this.offered];
    if (length === 0 || event.shiftKey || !(step || ["Enter", "Tab", "Escape"].includes(event.key))) return false;
    event.preventDefault();
    event.stopPropagation();
    if (step) this.#show(this.offered, (this.chosen + step + length) % length);
    else if (event.key === "Escape") this.#show([], (this.left = this.text.value) && 0);
    else this.#take(this.offered[this.chosen]);
    return true;
  }

  #take({ username }) {
    const caret = this.text.selectionStart;
    this.text.setRangeText(`@${username} `, caret - this.#typed.length - 1, caret, "end");
    this.text.dispatchEvent(new Event("input"));
  }

  #show(offered, chosen = 0) {
    const { text, element } = this;
    Object.assign(this, { offered, chosen });
    element.hidden = offered.length === 0;
    const own = { role: "combobox", "aria-autocomplete": "list", "aria-expanded": "true", "aria-controls": "mentions", "aria-activedescendant": `mention-${chosen}` };
    for (const [name, value] of Object.entries(own)) element.hidden ? text.removeAttribute(name) : text.setAttribute(name, value);
    element.replaceChildren(...offered.map((one, at) => h("li", { id: `mention-${at}`, role: "option", "aria-selected": String(at === chosen),
      pointerdown: (event) => (event.preventDefault(), this.#take(one)) }, h("b", { dir: "auto" }, one.name), h("span", { class: "soft" }, ` @${one.username}`))));
  }
}
