// The client's pure core, told as scripts of frames; an arrow function that Chromium evaluates on the client's page.
async () => {
  const { Session } = await import("/chat/session.js");
  const { Model } = await import("/chat/model.js");
  const { mint } = await import("/chat/outbox.js");
  const is = (found, expected, what) => {
    if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error(`${what}: ${JSON.stringify(found)}`);
  };
  const message = (number, position, more) => ({ type: "message", thread_id: "t", number, key: `k${number}`, sender_id: "bob", body: "hi",
    reply_to: null, mentions: [], attachments: [], sent_at: "2026-01-31T12:00:00.000Z", position, ...more });

  const session = new Session(null);
  is(session.hello("token"), { type: "hello", token: "token" }, "nothing to resume");
  is(session.handle({ type: "welcome", epoch: "e", heartbeat_s: 25, vector: "0:5,1:7" }), [{ load: "0:5,1:7" }], "the inbox is loaded first");
  is(session.handle(message(1, "0:6")), [], "a frame waits for the inbox");
  is(session.kept(), null, "a model that is not whole is not kept");
  is(session.loaded().map(({ apply }) => apply.number), [1], "then it is told");
  is(session.kept().vector, "0:5,1:7", "what is not processed does not count");
  session.processed(message(1, "0:6"));
  is(session.kept(), { epoch: "e", vector: "0:6,1:7" }, "what is processed does");
  session.handle({ type: "ack", id: "1", position: "0:9" });
  is(session.kept().vector, "0:6,1:7", "an ack raises nothing");
  const resumed = new Session(session.kept());
  is(resumed.hello("t"), { type: "hello", token: "t", resume: "0:6,1:7", epoch: "e" }, "it goes on where it was");
  is(resumed.handle({ type: "welcome", epoch: "e", heartbeat_s: 25, vector: "0:30,1:9" }), [], "the welcome of a resumption says nothing of it");
  is(resumed.handle({ type: "live", vector: "0:30,1:9" }), [{ live: true }], "what was missed is told");
  is(resumed.kept().vector, "0:30,1:9", "live replaces the vector");
  is(resumed.handle({ type: "reset", vector: "0:1" }), [{ load: "0:1" }], "a reset loads anew");
  is(resumed.hello("t"), { type: "hello", token: "t" }, "and a connection that is lost meanwhile resumes nothing");
  is(session.after(1012, "the node is going; reconnect after 420 ms", 0, 0.5), { wait: 420 }, "jitter is the server's");
  is(session.after(4401, "", 0, 0.5), { wait: 0, renew: true }, "a token that is over is renewed");

  const model = new Model("ada");
  model.setThread({ thread_id: "t", kind: "direct", last_number: 0, unread: 0, mentions_unread: 0, read_number: 0, updated_at: "", peer: null });
  model.timeline("t").isOpen = true;
  for (let twice = 0; twice < 2; twice++) model.apply(message(1, "0:6", { mentions: ["ada"] }), 0);
  is([model.threads.get("t").unread, model.threads.get("t").mentions_unread], [1, 1], "told twice, it is new once");
  const like = { type: "reaction", thread_id: "t", number: 1, user_id: "ada", emoji: "👍", removed: false };
  for (let twice = 0; twice < 2; twice++) model.apply(like, 0);
  is(model.timeline("t").rows.get(1).message.reactions, { "👍": ["ada"] }, "a reaction is one");
  model.timeline("t").journal = [];
  model.apply({ type: "message_edited", thread_id: "t", number: 1, body: "later", mentions: [], edited_at: "2026-01-31T12:01:00.000Z" }, 0);
  model.fill("t", [{ kind: "message", ...message(1), edited_at: null, deleted_at: null, reactions: {} }]);
  is(model.timeline("t").rows.get(1).message.body, "later", "an answer that was asked for earlier undoes no frame");
  model.apply({ type: "receipt", thread_id: "t", user_id: "ada", delivered: null, read: 1 }, 0);
  is(model.threads.get("t").unread, 0, "what another device has read is read");
  model.apply({ type: "receipt", thread_id: "t", user_id: "bob", delivered: 3, read: null }, 0);
  model.apply({ type: "receipt", thread_id: "t", user_id: "bob", delivered: 1, read: null }, 0);
  is(model.stateOf(model.threads.get("t"), 3), "delivered", "receipts never move back");

  const { Mentions } = await import("/chat/mentions.js");
  const names = { bob: "Bob Brown", cyd: "Cyd", dan: "Dan Bright" };
  const known = new Map();
  const client = { me: "ada", model: { threads: new Map([["t", { kind: "group" }]]), nameOf: (id) => names[id] }, meet: (id) => known.get(id),
    members: async () => ["ada", "bob", "cyd", "dan"].map((user_id) => ({ user_id, display_name: names[user_id] ?? "Ada" })) };
  const text = document.body.appendChild(document.createElement("textarea"));
  const mentions = new Mentions(client, "t", text);
  const press = (key) => mentions.key(new KeyboardEvent("keydown", { key, cancelable: true }));
  const types = (value) => ((text.value = value), text.setSelectionRange(value.length, value.length), mentions.changed());
  const offered = () => mentions.offered.map(({ username }) => username).join();
  const meets = (...ids) => (ids.forEach((id) => known.set(id, { username: id })), mentions.draw());
  text.focus();
  await types("mail@b");
  is([offered(), press("Enter")], ["", false], "an address names nobody");
  await types("Hi @");
  is([offered(), text.getAttribute("role")], ["", null], "nobody is known yet");
  meets("bob", "dan");
  is([offered(), text.getAttribute("role"), text.getAttribute("aria-activedescendant")], ["bob,dan", "combobox", "mention-0"], "who is known is offered");
  is([press("ArrowDown"), mentions.chosen], [true, 1], "arrows go down");
  meets("cyd");
  is([offered(), mentions.chosen], ["bob,cyd,dan", 2], "and whoever was chosen stays so while others come");
  is([press("ArrowDown"), mentions.chosen, press("ArrowUp"), mentions.chosen], [true, 0, true, 2], "round and round");
  await types("Hi @br");
  is(offered(), "bob,dan", "by the beginning of any name");
  press("Escape");
  mentions.draw();
  is([offered(), text.value, text.getAttribute("role")], ["", "Hi @br", null], "Escape leaves the text as it is");
  await types("Hi @bri");
  is([press("Tab"), text.value, text.selectionEnd], [true, "Hi @dan ", 8], "who is chosen is named");
  is(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(mint()), true, "keys are UUIDv7");
  is(mint(1_000) < mint(2_000), true, "and sort by time");
}
