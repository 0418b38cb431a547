// Where one writes: a text that grows, files, what one replies to or edits, and a draft for each thread.
import { announce, attempt, bytes, h, icon, iconButton, toast } from "./dom.js";
import { Mentions } from "./mentions.js";

const MOST_BYTES = 32_768;
const MOST_FILES = 10;
const LARGEST = 64 << 20;
const TYPING_EVERY = 3_000;
const drafts = new Map();

export class Composer {
  constructor(client, thread_id, timeline) {
    Object.assign(this, { client, thread_id, timeline, files: [], replyTo: null, editing: null, typed: 0 });
    this.text = h("textarea", { rows: "1", "aria-label": "Message", placeholder: "Write a message", dir: "auto", enterkeyhint: "send",
      input: () => this.#changed(), keydown: (event) => this.#key(event), paste: (event) => this.add(event.clipboardData.files) });
    this.text.value = drafts.get(thread_id) ?? "";
    this.context = h("div", { class: "context" });
    this.mentions = new Mentions(client, thread_id, this.text);
    this.chosen = h("ul", { class: "chosen", "aria-label": "Files to send" });
    const input = h("input", { type: "file", multiple: true, hidden: true, change: () => (this.add(input.files), (input.value = "")) });
    this.element = h("form", { class: "composer", "aria-label": "Write", submit: (event) => (event.preventDefault(), this.#submit()) },
      this.mentions.element, this.context, this.chosen, h("div", { class: "composer-line" }, input, iconButton("attach", "Attach files", () => input.click()),
        this.text, h("button", { type: "submit", class: "icon-button send", "aria-label": "Send", title: "Send" }, icon("send"))));
    queueMicrotask(() => this.#grow());
  }

  add(files) {
    for (const file of files) {
      if (file.size > LARGEST) toast(`${file.name} is larger than 64 MiB.`);
      else if (this.files.length < MOST_FILES) this.files.push(file);
    }
    this.chosen.replaceChildren(...this.files.map((file) => h("li", {}, `${file.name} · ${bytes(file.size)}`,
      iconButton("close", `Remove ${file.name}`, () => ((this.files = this.files.filter((one) => one !== file)), this.add([]))))));
  }

  reply(message) {
    [this.replyTo, this.editing] = [message.number, null];
    this.#tell(`Reply to ${this.client.model.nameOf(message.sender_id)}`, message.body || "Attachment");
  }

  edit(message) {
    [this.editing, this.replyTo] = [message, null];
    this.text.value = message.body;
    this.#tell("Edit your message", message.body);
    this.#grow();
  }

  #tell(title, text) {
    this.context.replaceChildren(h("p", {}, h("b", {}, title), h("span", { dir: "auto" }, text.slice(0, 200))),
      iconButton("close", "Cancel", () => this.#clear(this.editing ? "" : this.text.value)));
    this.text.focus();
  }

  #clear(text = "") {
    Object.assign(this, { files: [], replyTo: null, editing: null });
    this.context.replaceChildren();
    this.text.value = text;
    this.add([]);
    this.#changed(true);
    this.text.focus();
  }

  async #submit() {
    const body = this.text.value.trim();
    if (new TextEncoder().encode(body.normalize("NFC")).length > MOST_BYTES) return toast("This is too long for one message.");
    if (this.editing) {
      const { number, body: before } = this.editing;
      if (body && body !== before && (await attempt(() => this.client.edit(this.thread_id, number, body))) === undefined) return;
      return this.#clear();
    }
    if (!body && this.files.length === 0) return;
    const message = { thread_id: this.thread_id, body, reply_to: this.replyTo, files: this.files };
    this.#clear();
    this.timeline.toEnd();
    if (this.client.state !== "live") announce("You are offline. The message is kept and will be sent.");
    await attempt(() => this.client.send(message));
  }

  #changed(isSilent = false) {
    if (!this.editing) drafts.set(this.thread_id, this.text.value);
    this.#grow();
    this.mentions.changed();
    if (isSilent || !this.text.value || Date.now() - this.typed < TYPING_EVERY) return;
    this.typed = Date.now();
    this.client.typing(this.thread_id);
  }

  #grow() {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(this.text.scrollHeight, innerHeight / 3)}px`;
  }

  #key(event) {
    if (event.isComposing || this.mentions.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !matchMedia("(pointer: coarse)").matches) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "Escape" && (this.editing || this.replyTo)) {
      event.stopPropagation();
      this.#clear(this.editing ? "" : this.text.value);
    } else if (event.key === "ArrowUp" && !this.text.value) {
      const { me, model } = this.client;
      const mine = [...model.timeline(this.thread_id).rows.values()].filter(({ message }) => message?.sender_id === me && message.body);
      if (mine.length === 0) return;
      event.preventDefault();
      this.edit(mine.reduce((last, row) => (row.number > last.number ? row : last)).message);
    }
  }
}
