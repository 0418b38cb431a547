// What this device knows: threads, what was written in them, people, receipts. Frames change it and answers fill it;
// both may come twice, and change nothing then. No DOM, no network, no clock.

/** How long somebody is shown to be writing, in milliseconds. */
const TYPING = 5_000;

/** A stretch of a thread, by number: `rows` is sparse, and none of ours lies below `first`. */
const timeline = () => ({ first: 1, isOpen: false, rows: new Map(), receipts: new Map(), members: null, journal: null });

export class Model {
  constructor(me) {
    this.me = me;
    /** What views are to draw again; what the store is to write. */
    this.changed = new Set();
    this.dirty = new Set();
    this.people = new Map();
    this.presence = new Map();
    this.begin();
  }

  /** Forgets all that a new beginning loads anew. */
  begin() {
    this.threads = new Map();
    this.timelines = new Map();
    this.contacts = new Map();
    this.blocks = new Set();
    this.typing = new Map();
    this.changed.add("all");
  }

  timeline(thread_id) {
    if (!this.timelines.has(thread_id)) this.timelines.set(thread_id, timeline());
    return this.timelines.get(thread_id);
  }

  /** The name under which somebody is shown: one's own for them, else theirs. */
  nameOf(user_id) {
    if (user_id === this.me) return "You";
    return this.contacts.get(user_id) || this.people.get(user_id)?.display_name || "Somebody";
  }

  titleOf(thread) {
    if (thread.kind === "group") return thread.title || "Group";
    return thread.peer ? this.nameOf(thread.peer.user_id) : "Deleted account";
  }

  /** The inbox in its order: pinned first, then the newest activity. */
  inbox(archived) {
    const of = (thread) => (thread.pinned ? "1" : "0") + thread.updated_at;
    const shown = [...this.threads.values()].filter((thread) => thread.archived === archived);
    return shown.sort((a, b) => (of(a) < of(b) ? 1 : -1));
  }

  /** Who is writing in a thread, oneself aside. */
  writers(thread_id, now) {
    return [...(this.typing.get(thread_id) ?? [])].filter(([, at]) => now - at < TYPING).map(([user_id]) => user_id);
  }

  /** How far a message of one's own has come: sent, delivered or read, by everybody else. */
  stateOf(thread, number) {
    const { receipts } = this.timeline(thread.thread_id);
    const others = [...receipts].filter(([user_id]) => user_id !== this.me);
    const all = (mark) => others.length > 0 && others.every(([, receipt]) => (receipt[mark] ?? 0) >= number);
    return all("read") ? "read" : all("delivered") ? "delivered" : "sent";
  }

  setPerson({ user_id, ...known }) {
    this.people.set(user_id, { ...this.people.get(user_id), user_id, ...known });
    this.#touch(null);
  }

  setThread(thread) {
    this.threads.set(thread.thread_id, thread);
    if (thread.peer) this.setPerson(thread.peer);
    this.#touch(thread.thread_id);
  }

  dropThread(thread_id) {
    this.threads.delete(thread_id);
    this.timelines.delete(thread_id);
    this.#touch(thread_id);
  }

  setReceipt(thread_id, user_id, delivered, read) {
    const { receipts } = this.timeline(thread_id);
    const had = receipts.get(user_id) ?? { delivered: 0, read: 0 };
    const now = { delivered: Math.max(had.delivered, delivered ?? 0, read ?? 0), read: Math.max(had.read, read ?? 0) };
    receipts.set(user_id, now);
    this.#touch(thread_id);
  }

  /** Takes a page of history in; what frames have told since it was asked for goes on top. */
  fill(thread_id, entries) {
    const of = this.timeline(thread_id);
    for (const { kind, ...entry } of entries) {
      const row = this.#row(of, entry.number);
      if (kind === "message") row.message = entry;
      else this.#notice(row, entry);
    }
    for (const frame of of.journal ?? []) this.#amend(of, frame);
    this.#touch(thread_id);
  }

  /** Under that number there is no message for us: only notices, or nothing. */
  leaveVoid(thread_id, number) {
    const row = this.#row(this.timeline(thread_id), number);
    row.isVoid = !row.message;
  }

  /** Changes what is known by a frame of the server's. */
  apply(frame, now) {
    const { thread_id } = frame;
    const thread = this.threads.get(thread_id);
    const of = this.timelines.get(thread_id);
    of?.journal?.push(frame);
    if (of && (of.isOpen || frame.type !== "message")) this.#amend(of, frame);
    switch (frame.type) {
      case "message":
        this.typing.get(thread_id)?.delete(frame.sender_id);
        if (thread && frame.number > thread.last_number) this.#arrive(thread, frame);
        break;
      case "message_edited":
      case "message_deleted":
        if (thread?.last_message?.number === frame.number) {
          const body = frame.type === "message_edited" ? frame.body : null;
          thread.last_message = { ...thread.last_message, body, deleted_at: body === null ? "now" : null };
        }
        break;
      case "thread":
        if (thread) this.#happen(thread, of, frame);
        break;
      case "receipt":
        this.setReceipt(thread_id, frame.user_id, frame.delivered, frame.read);
        if (thread && frame.user_id === this.me && frame.read) this.read(thread, frame.read);
        break;
      case "settings":
        if (thread) Object.assign(thread, { muted_until: frame.muted_until, archived: frame.archived, pinned: frame.pinned });
        break;
      case "typing":
        if (!this.typing.has(thread_id)) this.typing.set(thread_id, new Map());
        this.typing.get(thread_id).set(frame.user_id, now);
        break;
      case "presence":
        this.presence.set(frame.user_id, { online: frame.online, last_seen: frame.last_seen });
        break;
      case "contact":
        if (frame.removed) this.contacts.delete(frame.user_id);
        else this.contacts.set(frame.user_id, frame.alias);
        break;
      case "block":
        this.blocks[frame.removed ? "delete" : "add"](frame.user_id);
        break;
    }
    this.#touch(thread_id ?? null);
  }

  /** Everything up to there is read, on whatever device. */
  read(thread, number) {
    if (number <= thread.read_number) return;
    thread.read_number = number;
    thread.unread = Math.min(thread.unread, Math.max(0, thread.last_number - number));
    if (thread.unread === 0) thread.mentions_unread = 0;
    this.#touch(thread.thread_id);
  }

  #arrive(thread, { number, sender_id, body, sent_at, mentions }) {
    thread.last_number = number;
    thread.last_message = { number, sender_id, body, sent_at, deleted_at: null };
    thread.updated_at = sent_at;
    if (sender_id === this.me) return this.read(thread, number);
    thread.unread += 1;
    if (mentions.includes(this.me)) thread.mentions_unread += 1;
  }

  #happen(thread, of, { change, user_id, role, title, picture, by, time }) {
    const notice = { number: thread.last_number, event: change, user_id, role, title, picture, by, time };
    if (thread.kind === "group" && of?.isOpen) this.#notice(this.#row(of, notice.number), notice);
    if (of && /member|role/.test(change)) of.members = null;
    thread.updated_at = time > thread.updated_at ? time : thread.updated_at;
    if (change === "renamed") thread.title = title;
    if (change === "picture_changed") thread.picture = picture;
    if (change === "member_added" && user_id !== this.me) thread.member_count += 1;
    if (change === "member_removed" || change === "member_left") {
      if (user_id === this.me) this.dropThread(thread.thread_id);
      thread.member_count -= 1;
      of?.receipts.delete(user_id);
    }
    if (user_id === this.me && role) thread.role = role;
  }

  #amend(of, frame) {
    if (frame.type === "message") {
      const { number, key, sender_id, body, reply_to, sent_at, mentions, attachments } = frame;
      const said = { number, key, sender_id, body, reply_to, sent_at, mentions, attachments };
      this.#row(of, number).message ??= { ...said, edited_at: null, deleted_at: null, reactions: {} };
    }
    const message = of.rows.get(frame.number)?.message;
    if (!message) return;
    if (frame.type === "message_edited") {
      Object.assign(message, { body: frame.body, mentions: frame.mentions, edited_at: frame.edited_at });
    } else if (frame.type === "message_deleted") {
      Object.assign(message, { body: null, deleted_at: "now", reactions: {}, attachments: [] });
    } else if (frame.type === "reaction") {
      const others = (message.reactions[frame.emoji] ?? []).filter((user_id) => user_id !== frame.user_id);
      const those = frame.removed ? others : [...others, frame.user_id];
      const { [frame.emoji]: _, ...rest } = message.reactions;
      message.reactions = those.length > 0 ? { ...rest, [frame.emoji]: those } : rest;
    }
    of.rows.get(frame.number).stamp += 1;
  }

  #row(of, number) {
    if (!of.rows.has(number)) of.rows.set(number, { number, message: null, notices: [], stamp: 0 });
    const row = of.rows.get(number);
    row.stamp += 1;
    return row;
  }

  #notice(row, notice) {
    const same = (one) => one.time === notice.time && one.event === notice.event && one.user_id === notice.user_id;
    if (!row.notices.some(same)) row.notices.push(notice);
  }

  #touch(thread_id) {
    this.changed.add(thread_id ?? "people");
    if (thread_id) this.dirty.add(thread_id);
  }
}
