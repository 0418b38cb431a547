// The client without its face: joins model, socket, outbox and store, and is all that views talk to. Another face, a
// terminal's say, would be built on this file unchanged.
import { Problem } from "./api.js";
import { Connection } from "./connection.js";
import { Model } from "./model.js";
import { mint, Outbox } from "./outbox.js";
import { Session } from "./session.js";
import { Store } from "./store.js";
import { raise } from "./vector.js";

const PAGE = 100;
const SAVE_AFTER = 500;
const MOST_WATCHED = 500;
/** Receipts are told at most this often. */
const RECEIPTS_EVERY = 150;

export class Client {
  /** What this device knows of whoever is signed in. `face`: `{changed(topics), heard(frame, isLive), state(word), failed(problem)}`. */
  static async open(api, face) {
    const client = new Client(api, face, await Store.open(api.tokens.user_id));
    client.session = new Session(await client.store.restore(client.model));
    client.connection = new Connection(api, client.session, {
      apply: (frame) => client.#apply(frame),
      load: (vector) => client.#load(vector),
      live: () => client.#live(),
      state: (word) => face.state((client.state = word)),
    });
    raise(api.seen, client.session.kept()?.vector);
    await client.outbox.restore();
    return client;
  }

  constructor(api, face, store) {
    Object.assign(this, { api, face, store, me: api.tokens.user_id, state: "connecting", files: new Map() });
    Object.assign(this, { fetching: new Set(), asked: new Map(), owed: new Map(), delivered: new Map() });
    this.model = new Model(this.me);
    this.outbox = new Outbox(store, {
      request: (frame) => this.request(frame),
      upload: ({ blob, name }) => api.upload(new File([blob], name)),
      changed: (thread_id) => this.#touch(thread_id),
      sent: (entry) => this.#sent(entry),
    });
    addEventListener("pagehide", () => this.#save());
  }

  connect = () => this.connection.open();

  /** Ends it, and takes away what this device held. */
  async stop() {
    this.connection.close();
    clearTimeout(this.saving);
    await this.store.erase();
  }

  /** A request over the socket; its problem is one of `Problem`. */
  async request(frame) {
    try {
      const answer = await this.connection.request(frame);
      if (answer.position) raise(this.api.seen, answer.position);
      return answer;
    } catch (problem) {
      throw problem ? new Problem(problem) : Problem.offline();
    }
  }

  /** A request over REST into something that a frame will tell of, or not: the thread is looked up again. */
  async change(thread_id, method, path, body) {
    const answer = await this.api.call(method, path, { body });
    if (thread_id) await this.refresh(thread_id);
    return answer;
  }

  send = (message) => this.outbox.add(message);
  edit = (thread_id, number, body) => this.request({ type: "edit", thread_id, number, body });
  remove = (thread_id, number) => this.request({ type: "delete", thread_id, number });
  react = (thread_id, number, emoji, isOn) => this.request({ type: isOn ? "react" : "unreact", thread_id, number, emoji });
  typing = (thread_id) => this.connection.say({ type: "typing", thread_id });

  async openDirect(user_id) {
    const { thread_id } = await this.api.call("POST", "/v1/threads", { body: { kind: "direct", user_id } });
    await this.refresh(thread_id);
    return thread_id;
  }

  async openGroup(title, member_ids) {
    const thread_id = mint();
    await this.change(thread_id, "POST", "/v1/threads", { kind: "group", thread_id, title, member_ids });
    return thread_id;
  }

  async saveContact(user_id, alias) {
    await this.api.call("PUT", `/v1/contacts/${user_id}`, { body: alias ? { alias } : {} });
    this.#apply({ type: "contact", user_id, alias });
  }

  async removeContact(user_id) {
    await this.api.call("DELETE", `/v1/contacts/${user_id}`);
    this.#apply({ type: "contact", user_id, removed: true });
  }

  async block(user_id, isOn) {
    await this.api.call(isOn ? "PUT" : "DELETE", `/v1/blocks/${user_id}`);
    this.#apply({ type: "block", user_id, removed: !isOn });
  }

  /** Asks for a thread anew; one that is not there is forgotten. Asked for again meanwhile, it is asked for once more. */
  async refresh(thread_id) {
    const flying = this.asked.get(thread_id);
    if (flying) flying.again = true;
    const fetch = async (flight) => {
      do {
        flight.again = false;
        try {
          this.model.setThread(await this.api.get(`/v1/threads/${thread_id}`));
        } catch (problem) {
          if (problem.status === 404) this.model.dropThread(thread_id);
        }
      } while (flight.again);
      this.asked.delete(thread_id);
      this.#watch();
      this.#tell();
    };
    const flight = flying ?? { again: false };
    if (!flying) {
      this.asked.set(thread_id, flight);
      flight.done = fetch(flight);
    }
    return flight.done;
  }

  /** Makes a thread's newest messages, its first number, and how far others have come known. */
  async openThread(thread_id) {
    const of = this.model.timeline(thread_id);
    const path = `/v1/threads/${thread_id}`;
    if (!of.isOpen) {
      of.isOpen = true;
      const [first] = await Promise.all([
        this.api.get(`${path}/messages?after=0&limit=1`),
        this.#page(thread_id, `${path}/messages?limit=50`),
      ]).catch((problem) => {
        of.isOpen = false;
        throw problem;
      });
      const lowest = Math.min(...of.rows.keys(), first.entries[0]?.number ?? Infinity);
      of.first = Number.isFinite(lowest) ? lowest : 1;
    }
    const { receipts } = await this.api.get(`${path}/receipts`);
    for (const { user_id, delivered, read } of receipts) this.model.setReceipt(thread_id, user_id, delivered, read);
    this.#tell();
  }

  /** Makes the messages of a stretch known, by pages of numbers that are each asked for once at a time. */
  ensure(thread_id, from, to) {
    const of = this.model.timeline(thread_id);
    const isHere = (number) => of.rows.get(number)?.message || of.rows.get(number)?.isVoid;
    for (let low = Math.max(from, of.first); low <= to; low = (Math.floor(low / PAGE) + 1) * PAGE) {
      const begin = Math.max(of.first, Math.floor(low / PAGE) * PAGE);
      const [end, name] = [Math.min(to, begin - (begin % PAGE) + PAGE - 1), `${thread_id}/${Math.floor(low / PAGE)}`];
      let absent = low;
      while (absent <= end && isHere(absent)) absent++;
      if (absent > end || this.fetching.has(name)) continue;
      this.fetching.add(name);
      // Notices share a page with messages: where they cut it short, the rest is asked for from there.
      const from = isHere(begin) ? absent : begin;
      this.#page(thread_id, `/v1/threads/${thread_id}/messages?after=${Math.max(0, from - 1)}&limit=${PAGE}`)
        .then(() => this.model.leaveVoid(thread_id, from), () => {})
        .finally(() => this.fetching.delete(name));
    }
  }

  async members(thread_id) {
    const of = this.model.timeline(thread_id);
    of.members ??= this.api.all(`/v1/threads/${thread_id}/members`, "members").catch((problem) => {
      of.members = null;
      throw problem;
    });
    const members = await of.members;
    for (const { user_id, display_name } of members) if (display_name) this.#meet({ user_id, display_name });
    this.#watch(members.map((member) => member.user_id));
    return members;
  }

  /** Who somebody is: looked up once, drawn when known. */
  meet(user_id) {
    const known = this.model.people.get(user_id);
    if (known?.username || user_id === this.me || this.asked.has(user_id)) return known;
    this.asked.set(user_id, true);
    this.api.get(`/v1/users/${user_id}`).then((user) => this.#meet(user), () => {});
    return known;
  }

  /** The bytes of an attachment as an address that only this page has. */
  async file(attachment_id, type) {
    if (!this.files.has(attachment_id)) {
      const fetched = this.api.call("GET", `/v1/attachments/${attachment_id}`, { isFile: true });
      this.files.set(attachment_id, fetched.then((blob) => URL.createObjectURL(new Blob([blob], { type }))));
      fetched.catch(() => this.files.delete(attachment_id));
    }
    return this.files.get(attachment_id);
  }

  /** Tells how far a thread has come here; what is told in short order is told at once. */
  receipt(thread_id, mark, number) {
    const owed = this.owed.get(thread_id) ?? {};
    this.owed.set(thread_id, { ...owed, [mark]: Math.max(owed[mark] ?? 0, number) });
    this.receipting ??= setTimeout(() => this.#payReceipts(), RECEIPTS_EVERY);
  }

  read(thread_id, number) {
    const thread = this.model.threads.get(thread_id);
    if (!thread || number <= thread.read_number) return;
    this.model.read(thread, number);
    this.receipt(thread_id, "read", number);
    this.#tell();
  }

  #payReceipts() {
    this.receipting = null;
    if (this.state !== "live") return;
    for (const [thread_id, marks] of this.owed) this.connection.say({ type: "receipt", thread_id, ...marks });
    this.owed.clear();
  }

  #apply(frame) {
    const { thread_id } = frame;
    // Whatever is asked next sees at least this.
    raise(this.api.seen, frame.position);
    const isKnown = !thread_id || this.model.threads.has(thread_id);
    this.model.apply(frame, Date.now());
    const goes = /removed|left/.test(frame.change) && frame.user_id === this.me;
    // Somebody comes, or is told of a thread that this device has not heard of.
    if ((!isKnown && ["message", "thread"].includes(frame.type) && !goes) || frame.change === "picture_changed") {
      this.refresh(thread_id);
    }
    if (frame.type === "message") {
      this.outbox.told(frame);
      if (frame.sender_id !== this.me) this.receipt(thread_id, "delivered", frame.number);
    }
    if (frame.type === "contact") this.meet(frame.user_id);
    if (frame.type === "typing") setTimeout(() => this.#touch(thread_id), 5_100);
    this.face.heard(frame, this.connection.isLive);
    this.#tell();
  }

  /** A new beginning: the inbox, people, and oneself, as of the vector. */
  async #load(vector) {
    this.api.seen.clear();
    raise(this.api.seen, vector);
    const [me, threads, archived, contacts, blocks] = await Promise.all([
      this.api.get("/v1/me"),
      this.api.all("/v1/threads", "threads"),
      this.api.all("/v1/threads?archived=true", "threads"),
      this.api.all("/v1/contacts", "contacts"),
      this.api.all("/v1/blocks", "blocks"),
    ]);
    this.model.begin();
    this.model.isNew = true;
    this.#meet(me);
    for (const thread of [...threads, ...archived]) this.model.setThread(thread);
    for (const { alias: _, ...user } of [...contacts, ...blocks]) this.#meet(user);
    for (const { user_id, alias } of contacts) this.model.contacts.set(user_id, alias);
    for (const { user_id } of blocks) this.model.blocks.add(user_id);
    this.#tell();
  }

  #live() {
    this.watched = "";
    this.#watch();
    this.#payReceipts();
    for (const { thread_id, last_number, last_message } of this.model.threads.values()) {
      if (last_message && last_message.sender_id !== this.me) this.#deliver(thread_id, last_number);
    }
    this.outbox.flush();
    this.face.changed(new Set(["all"]));
  }

  /** Says once in a life of this page that a thread's last message has come. */
  #deliver(thread_id, number) {
    if ((this.delivered.get(thread_id) ?? 0) >= number || this.model.threads.get(thread_id).unread === 0) return;
    this.delivered.set(thread_id, number);
    this.receipt(thread_id, "delivered", number);
  }

  /** Asks to be told of the presence of whom one sees: the other halves of threads, contacts, and members. */
  #watch(members = []) {
    const peers = this.model.inbox(false).flatMap(({ peer }) => (peer ? [peer.user_id] : []));
    const all = [...new Set([...members, ...peers, ...this.model.contacts.keys()])];
    const user_ids = all.filter((user_id) => user_id !== this.me).slice(0, MOST_WATCHED);
    if (this.state !== "live" || user_ids.join() === this.watched) return;
    this.watched = user_ids.join();
    this.connection.say({ type: "watch", user_ids });
  }

  async #page(thread_id, path) {
    const of = this.model.timeline(thread_id);
    of.journal ??= [];
    of.pages = (of.pages ?? 0) + 1;
    try {
      raise(this.api.seen, this.session.kept()?.vector);
      const { entries } = await this.api.get(path);
      this.model.fill(thread_id, entries);
    } finally {
      of.pages -= 1;
      if (of.pages === 0) of.journal = null;
    }
    this.#tell();
  }

  #meet(user) {
    this.model.setPerson(user);
    this.#tell();
  }

  #sent(entry) {
    const thread = this.model.threads.get(entry.thread_id);
    // The frame that tells of it may have come before this page was opened.
    if (!thread || thread.last_number >= entry.answer.number) this.outbox.discard(entry);
  }

  #touch(thread_id) {
    this.model.changed.add(thread_id);
    this.#tell();
  }

  #tell() {
    this.telling ??= setTimeout(() => {
      this.telling = null;
      const topics = this.model.changed;
      this.model.changed = new Set();
      this.face.changed(topics);
    });
    this.saving ??= setTimeout(() => this.#save(), SAVE_AFTER);
  }

  #save() {
    clearTimeout(this.saving);
    this.saving = null;
    this.store.save(this.model, this.session.kept());
  }
}
