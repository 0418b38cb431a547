// The page: who is signed in, which conversation the address names, and what keys do everywhere.
import { Api } from "./api.js";
import { Client } from "./client.js";
import { announce, h, toast } from "./dom.js";
import { Inbox, isMuted } from "./inbox.js";
import { searchDialog } from "./search.js";
import { signInPage } from "./signin.js";
import { goTo, ThreadView } from "./thread.js";

const root = document.getElementById("app");
const api = new Api(() => leave());
let [client, inbox, view] = [null, null, null];

const face = {
  changed(topics) {
    if (!inbox) return;
    if (view && !topics.has("all") && !client.model.threads.has(view.thread_id) && topics.has(view.thread_id)) return gone();
    inbox.draw(view?.thread_id);
    view?.update(topics);
  },
  heard({ type, thread_id, sender_id, body }, isLive) {
    const thread = client.model.threads.get(thread_id);
    if (type !== "message" || !isLive || sender_id === client.me || !thread || isMuted(thread)) return;
    const where = view?.thread_id === thread_id || thread.kind === "direct" ? "" : ` in ${client.model.titleOf(thread)}`;
    client.meet(sender_id);
    announce(`${client.model.nameOf(sender_id)}${where}: ${(body || "Attachment").slice(0, 200)}`);
  },
  state: (word) => inbox?.setState(word),
  failed: (problem) => (problem.status === 404 ? gone() : toast(problem.message)),
};

const gone = () => {
  toast("This conversation is not there for you any more.", "notice");
  goTo("");
};

/** Shows what the address names: nothing, a conversation, or a message in it. */
const route = () => {
  if (!client) return;
  const [, thread_id, number] = /^#\/t\/([0-9a-f-]{36})(?:\/(\d+))?$/.exec(location.hash) ?? [];
  if (view && view.thread_id === thread_id) {
    if (number) view.timeline.jump(Number(number));
    return;
  }
  view?.close();
  view = thread_id ? new ThreadView(client, thread_id, Number(number)) : null;
  root.dataset.pane = view ? "thread" : "inbox";
  root.querySelector("main").replaceChildren(view?.element ?? h("p", { class: "nothing" }, "Choose a conversation, or begin another."));
  inbox.draw(thread_id ?? null);
  if (view && !matchMedia("(pointer: coarse)").matches && !number) view.composer.text.focus();
};

const enter = async () => {
  client = await Client.open(api, face);
  inbox = new Inbox(client);
  root.className = "chat";
  root.dataset.pane = "inbox";
  root.replaceChildren(inbox.element, h("main", { "aria-label": "Conversation" }));
  route();
  client.connect();
};

const leave = async () => {
  if (!client) return;
  document.querySelector("dialog[open]")?.close();
  const left = client;
  view?.close();
  [client, inbox, view] = [null, null, null];
  signIn();
  await left.stop();
};

const signIn = () => {
  history.replaceState(null, "", "/");
  root.className = "";
  root.replaceChildren(signInPage(api, enter));
};

addEventListener("hashchange", route);
addEventListener("focus", () => view?.timeline.soon());
document.addEventListener("visibilitychange", () => view?.timeline.soon());
addEventListener("keydown", (event) => {
  if (!client || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "k") {
    event.preventDefault();
    searchDialog(client);
  } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    const links = [...inbox.list.querySelectorAll("a")];
    const at = links.findIndex((link) => link.getAttribute("aria-current"));
    const next = links[at + (event.key === "ArrowUp" ? -1 : 1)] ?? links[0];
    if (next) location.hash = next.hash;
  } else if (event.key === "Escape" && view) goTo("");
});

/** The policy of this page takes no text for a script's address, but from here. */
const worker = globalThis.trustedTypes?.createPolicy("worker", { createScriptURL: () => "/sw.js" }).createScriptURL("") ?? "/sw.js";
navigator.serviceWorker?.register(worker).catch(() => {});

if (api.tokens) enter();
else signIn();
