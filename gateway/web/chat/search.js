// Search: words in, places in history out; each leads to its message.
import { dialog } from "./dialog.js";
import { announce, briefly, h, rich, timeElement } from "./dom.js";
import { goTo } from "./thread.js";

const PAUSE = 250;

export const searchDialog = (client, thread_id = null) => {
  const { model } = client;
  const hits = h("ul", { class: "plain hits", "aria-label": "Results" });
  const more = h("button", { type: "button", hidden: true, click: () => find(more.dataset.next) }, "More");
  const said = h("p", { class: "soft", role: "status" }, 'Words, "phrases", from:username, before:2026-01-31, after:…');
  const input = h("input", { type: "search", "aria-label": "Search messages", placeholder: "Search messages", autocomplete: "off",
    input: () => (clearTimeout(input.wait), (input.wait = setTimeout(() => find(), PAUSE))) });
  let asked = 0;
  const line = (words) => (hit) => {
    const thread = model.threads.get(hit.thread_id);
    client.meet(hit.sender_id);
    const isElsewhere = thread && !thread_id && (thread.kind === "group" || hit.sender_id === client.me);
    const where = `${model.nameOf(hit.sender_id)}${isElsewhere ? ` · ${model.titleOf(thread)}` : ""}`;
    return h("li", {}, h("button", { type: "button", class: "hit", click: () => goTo(hit.thread_id, hit.number) },
      h("span", { class: "soft" }, h("span", { dir: "auto" }, where), timeElement(hit.sent_at, briefly(hit.sent_at))),
      h("span", { dir: "auto" }, rich(hit.snippet, words))));
  };
  const find = async (cursor = "") => {
    const [q, turn] = [input.value.trim(), ++asked];
    if (!q) return hits.replaceChildren();
    const query = new URLSearchParams({ q, limit: 30, ...(thread_id && { thread_id }), ...(cursor && { cursor }) });
    try {
      const page = await client.api.get(`/v1/search?${query}`);
      if (turn !== asked) return;
      const words = q.replace(/\b\w+:\S*/g, "").match(/[\p{L}\p{N}]+/gu) ?? [];
      const lines = page.hits.map(line(words));
      hits[cursor ? "append" : "replaceChildren"](...lines);
      more.hidden = !page.next;
      more.dataset.next = page.next ?? "";
      said.textContent = hits.childElementCount === 0 ? "Nothing was found." : `${hits.childElementCount}${page.next ? "+" : ""} found`;
    } catch (problem) {
      said.textContent = problem.message;
      announce(problem.message);
    }
  };
  dialog(thread_id ? `Search in ${model.titleOf(model.threads.get(thread_id))}` : "Search", input, said, hits, more);
  input.focus();
};
