// The list of conversations: what is new in each, and the ways to begin another.
import { menu } from "./dialog.js";
import { avatar, briefly, h, iconButton, timeElement } from "./dom.js";
import { newGroupDialog } from "./group.js";
import { findDialog, peopleDialog } from "./people.js";
import { searchDialog } from "./search.js";
import { settingsDialog } from "./settings.js";

const WORDS = { live: "", connecting: "Connecting…", offline: "Offline: what you write is kept", asleep: "Paused: touch to go on" };

export class Inbox {
  constructor(client) {
    Object.assign(this, { client, drawn: new Map(), isArchive: false });
    this.state = h("p", { class: "state", role: "status" });
    this.list = h("ul", { class: "threads" });
    this.filter = h("input", { type: "search", placeholder: "Filter conversations", "aria-label": "Filter conversations", input: () => this.draw() });
    this.archive = h("button", { type: "button", class: "link", click: () => ((this.isArchive = !this.isArchive), this.draw()) });
    const begin = (event) => menu(event.currentTarget, "New conversation", [
      ["Message somebody", () => findDialog(client)], ["New group", () => newGroupDialog(client)]]);
    this.element = h("nav", { class: "inbox", "aria-label": "Conversations" },
      h("header", { class: "bar" }, h("h1", {}, "Herald"),
        iconButton("search", "Search messages (Ctrl K)", () => searchDialog(client)), iconButton("people", "People", () => peopleDialog(client)),
        iconButton("settings", "Settings", () => settingsDialog(client)),
        iconButton("new", "New conversation", begin, { class: "icon-button new-thread", "aria-haspopup": "menu" })),
      this.state, h("div", { class: "filter" }, this.filter), this.list, h("footer", {}, this.archive));
    this.draw();
  }

  setState(word) {
    this.state.textContent = WORDS[word];
    this.element.dataset.state = word;
  }

  draw(open = this.open) {
    const { client } = this;
    this.open = open;
    const sought = this.filter.value.toLowerCase();
    const all = client.model.inbox(this.isArchive);
    const shown = all.filter((thread) => client.model.titleOf(thread).toLowerCase().includes(sought));
    const elements = shown.map((thread) => this.#item(thread));
    for (const [thread_id] of this.drawn) if (!client.model.threads.has(thread_id)) this.drawn.delete(thread_id);
    const focused = this.list.contains(document.activeElement) ? document.activeElement : null;
    let next = this.list.firstChild;
    for (const element of elements) {
      if (element === next) next = next.nextSibling;
      else this.list.insertBefore(element, next);
    }
    while (this.list.children.length > elements.length) this.list.lastChild.remove();
    // What moves in the list loses the focus.
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
    if (elements.length === 0) this.list.replaceChildren(h("li", { class: "empty" }, this.#empty(all.length)));
    const archived = client.model.inbox(true).length;
    this.archive.hidden = archived === 0 && !this.isArchive;
    this.archive.textContent = this.isArchive ? "Back to all conversations" : `Archived (${archived})`;
    const unread = client.model.inbox(false).reduce((sum, thread) => sum + (isMuted(thread) ? 0 : thread.unread), 0);
    document.title = unread > 0 ? `(${unread}) Herald` : "Herald";
  }

  #empty(isFiltered) {
    if (!this.client.session.kept()) return [1, 2, 3, 4].map(() => h("div", { class: "skeleton", "aria-hidden": "true" }));
    return isFiltered ? "No conversation is called that." : this.isArchive ? "Nothing is archived."
      : ["Nobody has written yet. ", h("button", { type: "button", class: "link", click: () => findDialog(this.client) }, "Message somebody")];
  }

  #item(thread) {
    const { client, client: { model } } = this;
    const { thread_id, peer, unread, mentions_unread, last_message, updated_at, pinned } = thread;
    const [name, online, muted] = [model.titleOf(thread), Boolean(peer && model.presence.get(peer.user_id)?.online), isMuted(thread)];
    const writers = model.writers(thread_id, Date.now());
    const snippet = this.#snippet(thread, last_message, writers);
    const picture = thread.kind === "group" ? thread.picture : peer?.picture;
    const isOpen = thread_id === this.open;
    const look = [name, online, muted, snippet, unread, mentions_unread, briefly(updated_at), pinned, picture, isOpen].join("\n");
    const had = this.drawn.get(thread_id);
    if (had?.look === look) return had.element;
    const count = unread > 999 ? "999+" : unread;
    const content = h("a", { href: `#/t/${thread_id}`, "aria-current": isOpen ? "page" : null },
      avatar(client, peer?.user_id ?? thread_id, name, picture, online),
      h("span", { class: "what" }, h("b", { dir: "auto" }, name),
        h("span", { class: "snippet", dir: thread.kind === "group" ? null : "auto" }, snippet)),
      h("span", { class: "when" }, timeElement(updated_at, briefly(updated_at)),
        h("span", { class: "badges" }, pinned && h("span", { class: "soft", role: "img", "aria-label": "Pinned", title: "Pinned" }, "⚲"),
          muted && h("span", { class: "soft", role: "img", "aria-label": "Muted", title: "Muted" }, "⏾"),
          mentions_unread > 0
            && h("span", { class: "badge", role: "img", "aria-label": `${mentions_unread} mention you`, title: "You are mentioned" }, "@"),
          unread > 0 && h("span", { class: `badge count${muted ? " quiet" : ""}`, role: "img", "aria-label": `${unread} unread` }, String(count)))));
    const element = had?.element ?? h("li");
    const hadFocus = element.contains(document.activeElement);
    element.replaceChildren(content);
    if (hadFocus) content.focus();
    this.drawn.set(thread_id, { element, look });
    return element;
  }

  #snippet(thread, last, writers) {
    const { client, client: { model } } = this;
    if (writers.length > 0) return thread.kind === "group" ? `${model.nameOf(writers[0])} is writing…` : "writing…";
    const pending = client.outbox.of(thread.thread_id).at(-1);
    if (pending) return `${pending.failed ? "Not sent" : "Sending"}: ${pending.body || "Attachment"}`;
    if (!last) return thread.kind === "group" ? "Nothing was written yet" : "";
    const text = last.body === null ? "Deleted message" : last.body.slice(0, 120) || "Attachment";
    if (last.sender_id === client.me) return `You: ${text}`;
    // The name's direction of writing is its own.
    return thread.kind === "group" ? `\u2068${client.meet(last.sender_id) ? model.nameOf(last.sender_id) : "…"}\u2069: ${text}` : text;
  }
}

export const isMuted = ({ muted_until }) => Boolean(muted_until) && new Date(muted_until) > new Date();
