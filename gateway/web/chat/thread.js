// An open thread: who it is with, its timeline, who is writing, and what can be done with a message.
import { Composer } from "./composer.js";
import { confirm, dialog, menu } from "./dialog.js";
import { announce, attempt, avatar, briefly, h, iconButton, timeElement } from "./dom.js";
import { groupDialog } from "./group.js";
import { personDialog } from "./people.js";
import { searchDialog } from "./search.js";
import { Timeline } from "./timeline.js";

const QUICK = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

export class ThreadView {
  constructor(client, thread_id, number) {
    Object.assign(this, { client, thread_id });
    this.timeline = new Timeline(client, thread_id, {
      actions: (message, at) => this.#actions(message, at),
      jump: (to) => this.timeline.jump(to),
    });
    this.composer = new Composer(client, thread_id, this.timeline);
    this.header = h("header", { class: "bar" });
    this.writing = h("p", { class: "writing", "aria-live": "polite" });
    this.element = h("section", { class: "thread", "aria-label": "Conversation",
      dragover: (event) => event.preventDefault(),
      drop: (event) => (event.preventDefault(), this.composer.add(event.dataTransfer.files)) },
      this.header, this.timeline.element, this.writing, this.composer.element);
    this.update(new Set(["all"]));
    this.#open(number);
  }

  close() {
    this.timeline.close();
  }

  async #open(number) {
    const wasOpen = this.client.model.timeline(this.thread_id).isOpen;
    const start = () => (number ? this.timeline.jump(number) : this.timeline.begin());
    if (wasOpen && this.thread) start();
    try {
      if (!this.thread) await this.client.refresh(this.thread_id);
      await this.client.openThread(this.thread_id);
      if (this.thread?.kind === "group") await this.client.members(this.thread_id);
      if (!wasOpen && this.thread) start();
    } catch (problem) {
      // Away from the server, what is kept is shown; it is asked for again once there is a connection.
      if (problem.status !== 0 && problem.status !== 503) this.client.face.failed(problem);
    }
    this.timeline.soon(true);
  }

  get thread() {
    return this.client.model.threads.get(this.thread_id);
  }

  update(topics) {
    const { thread } = this;
    if (!thread) return;
    if (topics.has("all") || topics.has("people") || topics.has(this.thread_id)) this.#drawHeader(thread);
    if (topics.has("all") && this.isDrawn && !this.client.model.timeline(this.thread_id).isOpen) this.#open();
    if (topics.has("people")) this.composer.mentions.draw();
    this.isDrawn = true;
    this.timeline.soon(topics.has("all") || topics.has("people"));
  }

  #drawHeader(thread) {
    const { model } = this.client;
    const name = model.titleOf(thread);
    const presence = thread.peer && model.presence.get(thread.peer.user_id);
    const isBlocked = thread.peer && model.blocks.has(thread.peer.user_id);
    const said = thread.kind === "group" ? `${thread.member_count} ${thread.member_count === 1 ? "member" : "members"}`
      : isBlocked ? "You blocked them" : presence?.online ? "Online" : presence?.last_seen ? "Last seen " : thread.peer?.about ?? "";
    const seen = said === "Last seen " && timeElement(presence.last_seen, briefly(presence.last_seen));
    const look = [name, said, seen?.textContent, thread.muted_until, thread.picture, thread.peer?.picture].join();
    if (look !== this.headerLook) {
      this.headerLook = look;
      const picture = thread.kind === "group" ? thread.picture : thread.peer?.picture;
      const about = () => thread.kind === "group" ? groupDialog(this.client, this.thread_id)
        : thread.peer && personDialog(this.client, thread.peer.user_id);
      this.header.replaceChildren(
        h("a", { class: "icon-button back", href: "#/", "aria-label": "Back to conversations" }, "‹"),
        h("button", { type: "button", class: "who", click: about, "aria-haspopup": "dialog" },
          avatar(this.client, thread.peer?.user_id ?? thread.thread_id, name, picture, presence?.online),
          h("span", {}, h("h1", { dir: "auto" }, name), h("span", { class: "soft" }, said, seen))),
        iconButton("search", "Search in this conversation", () => searchDialog(this.client, this.thread_id)),
        iconButton("more", "Conversation options", (event) => this.#options(event.currentTarget), { "aria-haspopup": "menu" }));
    }
    const writers = model.writers(this.thread_id, Date.now()).map((id) => this.client.meet(id) && model.nameOf(id)).filter(Boolean);
    this.writing.textContent = writers.length > 0 ? `${writers.slice(0, 3).join(", ")} ${writers.length > 1 ? "are" : "is"} writing…` : "";
  }

  #options(at) {
    const { client, thread, thread_id } = this;
    const set = (settings) => () => client.change(thread_id, "PUT", `/v1/threads/${thread_id}/settings`, settings);
    const isMuted = thread.muted_until && new Date(thread.muted_until) > new Date();
    const entries = [
      [thread.pinned ? "Unpin" : "Pin to the top", set({ pinned: !thread.pinned })],
      isMuted ? ["Unmute", set({ muted_until: null })]
        : ["Mute for 8 hours", set({ muted_until: new Date(Date.now() + 8 * 3_600_000).toISOString() })],
      [thread.archived ? "Unarchive" : "Archive", set({ archived: !thread.archived })],
    ];
    if (thread.kind === "group") entries.push(["Members and settings", () => groupDialog(client, thread_id)]);
    menu(at, "Conversation options", entries);
  }

  #actions(message, at) {
    const { client, thread_id, composer } = this;
    const mine = message.sender_id === client.me;
    const mayDelete = mine || (this.thread.kind === "group" && this.thread.role !== "member");
    const react = (emoji) => [emoji, () =>
      client.react(thread_id, message.number, emoji, !message.reactions[emoji]?.includes(client.me))];
    const entries = [["Reply", () => composer.reply(message)]];
    if (message.body) entries.push(["Copy text", () => navigator.clipboard.writeText(message.body)]);
    if (mine && message.body) entries.push(["Edit", () => composer.edit(message)]);
    if (mine) entries.push(["Who has read it", () => this.#readers(message)]);
    if (mayDelete) entries.push(["Delete for everybody", () => confirm("Delete this message?", "Its text goes for good, for everybody.", "Delete",
      async () => (await client.remove(thread_id, message.number), announce("Message deleted"))), "danger"]);
    menu(at, "Message actions", entries, QUICK.map(react));
  }

  async #readers({ number }) {
    const { receipts } = await this.client.api.get(`/v1/threads/${this.thread_id}/receipts`);
    const others = receipts.filter(({ user_id }) => user_id !== this.client.me);
    const told = ({ user_id, delivered, delivered_at, read, read_at }) => {
      const [word, at] = (read ?? 0) >= number ? ["read", read_at]
        : (delivered ?? 0) >= number ? ["delivered", delivered_at] : ["not yet", null];
      this.client.meet(user_id);
      return h("li", {}, h("span", { dir: "auto" }, this.client.model.nameOf(user_id)),
        h("span", { class: "soft" }, word, " ", at && timeElement(at, briefly(at))));
    };
    dialog("Who has read it", h("ul", { class: "plain" }, others.map(told)));
  }
}

/** Goes to a conversation, or to a message in it; of nothing, to none. */
export const goTo = (thread_id, number) => {
  document.querySelector("dialog[open]")?.close();
  location.hash = `#/t/${thread_id}${number ? `/${number}` : ""}`;
};

/** Opens the conversation with somebody. */
export const write = (client, user_id) => attempt(async () => goTo(await client.openDirect(user_id)));
