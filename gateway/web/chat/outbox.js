// What was written here and is not in the log yet: kept before it is shown, sent in order, each under the key it was
// minted with, so that saying it again can never double it. Survives reloads; one tab at a time sends.
import { exclusively, Problem } from "./api.js";

/** A UUIDv7 (RFC 9562), later ones sort later. */
export const mint = (now = Date.now()) => {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let i = 0; i < 6; i++) bytes[i] = Math.floor(now / 2 ** (8 * (5 - i))) % 256;
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
};

export class Outbox {
  /** `host`: `{request(frame), upload(file), sent(answer), changed(thread_id)}`. */
  constructor(store, host) {
    Object.assign(this, { store, host, entries: new Map(), isSending: false });
  }

  async restore() {
    for (const entry of await this.store.outbox()) this.entries.set(entry.key, entry);
  }

  /** Those of a thread, oldest first. */
  of(thread_id) {
    const those = [...this.entries.values()].filter((entry) => entry.thread_id === thread_id);
    return those.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async add({ thread_id, body, reply_to, files }) {
    const kept = files.map((file) => ({ blob: file, name: file.name, type: file.type, size: file.size, attachment_id: null }));
    const entry = { key: mint(), thread_id, body, reply_to, files: kept, failed: null };
    this.entries.set(entry.key, entry);
    this.host.changed(thread_id);
    await this.store.keep(entry);
    this.flush();
  }

  async retry(entry) {
    entry.failed = null;
    await this.store.keep(entry);
    this.host.changed(entry.thread_id);
    this.flush();
  }

  async discard({ key, thread_id }) {
    this.entries.delete(key);
    this.host.changed(thread_id);
    await this.store.drop(key);
  }

  /** A message was told: if it is one of ours, it is on its way no longer. */
  told({ key }) {
    if (this.entries.has(key)) this.discard(this.entries.get(key));
  }

  /** Sends what waits, until nothing does or there is no connection. */
  async flush() {
    if (this.isSending) return;
    this.isSending = true;
    await exclusively(`${this.store.db.name}-outbox`, async () => {
      for (let entry; (entry = this.#next()); ) if (!(await this.#send(entry))) break;
    });
    this.isSending = false;
  }

  #next() {
    const waits = (entry) => !entry.failed && !entry.answer;
    return [...this.entries.values()].filter(waits).sort((a, b) => (a.key < b.key ? -1 : 1))[0];
  }

  /** Whether to go on with the next. */
  async #send(entry) {
    try {
      for (const file of entry.files.filter((one) => !one.attachment_id)) {
        file.attachment_id = (await this.host.upload(file)).attachment_id;
        await this.store.keep(entry);
      }
      const { key, thread_id, body, reply_to } = entry;
      const attachments = entry.files.map((file) => file.attachment_id);
      const send = { type: "send", key, thread_id, body, ...(reply_to && { reply_to }), ...(attachments.length > 0 && { attachments }) };
      entry.answer = await this.host.request(send);
      await this.store.drop(key);
      this.host.sent(entry);
      return true;
    } catch (problem) {
      if (!problem || problem.status === 0 || problem.status === 401) return false;
      if (problem.retry_after || problem.retryAfter) {
        setTimeout(() => this.flush(), 1000 * (problem.retry_after || problem.retryAfter));
        return false;
      }
      entry.failed = problem instanceof Error ? problem.message : new Problem(problem).message;
      await this.store.keep(entry);
      this.host.changed(entry.thread_id);
      return true;
    }
  }
}
