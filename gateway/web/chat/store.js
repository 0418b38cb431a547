// IndexedDB: what was written and not yet sent, and what this device knew when it was last open. One transaction holds
// the model and the vector that it is as of, so that going on from there misses nothing. Of several tabs one writes.

const ROWS = 200;
const wait = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

export class Store {
  static async open(user_id) {
    const opening = indexedDB.open(`herald-${user_id}`, 1);
    opening.onupgradeneeded = () => {
      for (const name of ["kept", "threads", "timelines"]) opening.result.createObjectStore(name);
      opening.result.createObjectStore("outbox", { keyPath: "key" });
    };
    return new Store(await wait(opening));
  }

  constructor(db) {
    this.db = db;
    db.onversionchange = () => db.close();
    const write = (release) => ((this.isWriter = !this.isErased), (this.release = release), this.isErased && release());
    if (navigator.locks) navigator.locks.request(`${db.name}-writer`, () => new Promise(write));
    else this.isWriter = true;
  }

  /** What was known, into an empty model; where to go on, if there is such a place. */
  async restore(model) {
    const stores = this.db.transaction(["kept", "threads", "timelines"]);
    const all = (name) => wait(stores.objectStore(name).getAll());
    const [session, people] = await Promise.all(["session", "people"].map((key) => wait(stores.objectStore("kept").get(key))));
    const [threads, timelines] = await Promise.all([all("threads"), all("timelines")]);
    if (!session) return null;
    for (const thread of threads) model.threads.set(thread.thread_id, thread);
    for (const { thread_id, first, rows, receipts } of timelines) {
      Object.assign(model.timeline(thread_id), { first, isOpen: true, rows: new Map(rows), receipts: new Map(receipts) });
    }
    Object.assign(model, people);
    model.dirty.clear();
    return session;
  }

  /** Writes what has changed, and how far that is. */
  save(model, session) {
    if (!this.isWriter || !session) return;
    const stores = this.db.transaction(["kept", "threads", "timelines"], "readwrite");
    const [kept, threads, timelines] = ["kept", "threads", "timelines"].map((name) => stores.objectStore(name));
    kept.put(session, "session");
    kept.put({ people: model.people, contacts: model.contacts, blocks: model.blocks }, "people");
    if (model.isNew) {
      threads.clear();
      timelines.clear();
    }
    for (const thread_id of model.isNew ? model.threads.keys() : model.dirty) {
      const [thread, of] = [model.threads.get(thread_id), model.timelines.get(thread_id)];
      if (thread) threads.put(thread, thread_id);
      else threads.delete(thread_id);
      if (!thread || !of?.isOpen) {
        timelines.delete(thread_id);
        continue;
      }
      const rows = [...of.rows].filter(([number]) => number > thread.last_number - ROWS);
      timelines.put({ thread_id, first: of.first, rows, receipts: [...of.receipts] }, thread_id);
    }
    model.isNew = false;
    model.dirty.clear();
  }

  outbox = () => wait(this.db.transaction("outbox").objectStore("outbox").getAll());
  /** Resolves once it would survive the page. */
  keep = (entry) => wait(this.db.transaction("outbox", "readwrite").objectStore("outbox").put(entry));
  drop = (key) => wait(this.db.transaction("outbox", "readwrite").objectStore("outbox").delete(key));

  /** Takes everything away that this device held of the person. */
  erase() {
    [this.isErased, this.isWriter] = [true, false];
    this.release?.();
    this.db.close();
    return wait(indexedDB.deleteDatabase(this.db.name));
  }
}
