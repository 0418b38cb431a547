// How one number of a thread looks: the day before it, the message, its reactions, and what happened after it.
import { avatar, bytes, dayLine, dayOf, h, iconButton, rich, timeElement, timeOf, attempt } from "./dom.js";

/** Messages of one person within this time of each other stand together. */
const TOGETHER = 5 * 60_000;
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const TICKS = { pending: "◷", sent: "✓", delivered: "✓✓", read: "✓✓", failed: "!" };

/** Whether a message begins a day, and a run of one person's. */
export const beginnings = (message, before) => ({
  day: Boolean(message) && (!before || dayOf(before.sent_at) !== dayOf(message.sent_at)),
  run: Boolean(message) && (!before || before.sender_id !== message.sender_id
    || new Date(message.sent_at) - new Date(before.sent_at) > TOGETHER),
});

/** The row of a number; `at` says where it stands: `{client, thread, hooks, before, state, isNew, place, size}`. */
export const rowOf = (row, at) => {
  const { message, number, notices } = row;
  const starts = beginnings(message, at.before);
  const mine = message?.sender_id === at.client.me;
  const classes = `row${mine ? " mine" : ""}${starts.run || starts.day ? " first" : ""}`;
  return h("article", { class: classes, tabindex: "-1", "data-number": number, "aria-posinset": at.place, "aria-setsize": at.size,
    "aria-label": message ? `${at.client.model.nameOf(message.sender_id)}, ${timeOf(message.sent_at)}` : "Notice" },
    starts.day && h("p", { class: "day" }, h("span", {}, dayLine(message.sent_at))),
    at.isNew && h("p", { class: "new" }, h("span", {}, "New")),
    message ? lineOf(message, starts, mine, at) : !row.isVoid && notices.length === 0 && skeleton(number),
    message && reactionsOf(message, at),
    notices.map((notice) => h("p", { class: "notice" }, noticeText(notice, at.client.model))));
};

export const skeleton = (number) => h("div", { class: `skeleton width-${number % 4}`, "aria-hidden": "true" });

/** What waits to be sent, as a row. */
export const pendingRow = (entry, { client, hooks }) => {
  const state = entry.failed ? "failed" : "pending";
  const again = entry.failed && h("p", { class: "failed-line" }, `Not sent: ${entry.failed} `,
    h("button", { type: "button", class: "link", click: () => client.outbox.retry(entry) }, "Try again"), " ",
    h("button", { type: "button", class: "link", click: () => client.outbox.discard(entry) }, "Discard"));
  return h("article", { class: `row mine ${state}`, "data-key": entry.key, "aria-label": `You, ${state === "failed" ? "not sent" : "being sent"}` },
    h("div", { class: "line" }, h("div", { class: "bubble" },
      entry.reply_to && quote(entry.reply_to, { client, thread: { thread_id: entry.thread_id }, hooks }),
      entry.files.map(({ name, size }) => h("p", { class: "file" }, `${name} · ${bytes(size)}`)),
      entry.body && h("p", { class: "body", dir: "auto" }, rich(entry.body)), meta(timeOf(Date.now()), null, state))), again);
};

const meta = (shown, edited, state) =>
  h("span", { class: "meta" }, edited && "edited ", shown,
    state && h("span", { class: `ticks ${state}`, role: "img", "aria-label": state, title: state }, TICKS[state]));

const lineOf = (message, starts, mine, at) => {
  const { client, thread, hooks } = at;
  const inGroup = thread.kind === "group" && !mine;
  const person = client.meet(message.sender_id);
  const name = client.model.nameOf(message.sender_id);
  const gone = message.body === null;
  const names = message.mentions.map((id) => client.model.people.get(id)?.username).filter(Boolean).map((name) => `@${name}`);
  return h("div", { class: "line" },
    inGroup && (starts.run || starts.day ? avatar(client, message.sender_id, name, person?.picture) : h("span", { class: "avatar blank" })),
    h("div", { class: `bubble${gone ? " gone" : ""}${message.mentions.includes(client.me) ? " mentions-me" : ""}` },
      inGroup && (starts.run || starts.day) && h("p", { class: "sender", dir: "auto" }, name),
      message.reply_to && !gone && quote(message.reply_to, at),
      !gone && message.attachments.map((file) => attached(file, client)),
      gone ? h("p", { class: "body" }, message.deleted_at ? "This message was deleted." : "This message is gone.")
        : message.body && h("p", { class: "body", dir: "auto" }, rich(message.body, names)),
      meta(timeElement(message.sent_at, timeOf(message.sent_at)), message.edited_at && !gone, mine && !gone && at.state)),
    !gone && iconButton("more", "Message actions", (event) => hooks.actions(message, event.currentTarget),
      { class: "icon-button row-more", tabindex: "-1", "aria-haspopup": "menu" }));
};

const quote = (number, { client, thread, hooks }) => {
  const quoted = client.model.timeline(thread.thread_id).rows.get(number)?.message;
  const text = quoted ? quoted.body ?? "Deleted message" : `Message ${number}`;
  return h("button", { type: "button", class: "quote", click: () => hooks.jump(number) },
    quoted && h("b", { dir: "auto" }, client.model.nameOf(quoted.sender_id)), h("span", { dir: "auto" }, text.slice(0, 200) || "Attachment"));
};

const attached = ({ attachment_id, name, media_type, size, width, height }, client) => {
  const called = name ?? "File";
  const save = () => attempt(async () =>
    h("a", { href: await client.file(attachment_id, "application/octet-stream"), download: called }).click());
  if (!PICTURES.has(media_type) || !width) {
    return h("button", { type: "button", class: "file", click: save }, h("b", { dir: "auto" }, called), ` ${bytes(size)}`);
  }
  const picture = h("img", { alt: called, width, height });
  // Its place is there before it is, so that nothing moves.
  picture.style.aspectRatio = `${width} / ${height}`;
  picture.style.width = `${Math.min(320, width, (320 * width) / height)}px`;
  client.file(attachment_id, media_type).then((src) => (picture.src = src), () => picture.classList.add("absent"));
  return h("button", { type: "button", class: "picture", "aria-label": `Save ${called}`, click: save }, picture);
};

const reactionsOf = (message, { client, thread }) => {
  const all = Object.entries(message.reactions);
  return all.length > 0 && h("div", { class: "reactions" }, all.map(([emoji, those]) => {
    const isOn = those.includes(client.me);
    const names = those.map((id) => client.meet(id) && client.model.nameOf(id)).filter(Boolean).join(", ");
    return h("button", { type: "button", class: "reaction", "aria-pressed": String(isOn), title: names,
      "aria-label": `${emoji} ${those.length}${isOn ? ", yours too" : ""}`,
      click: () => attempt(() => client.react(thread.thread_id, message.number, emoji, !isOn)) }, `${emoji} ${those.length}`);
  }));
};

const noticeText = ({ event, by, user_id, role, title }, model) => {
  const [who, whom] = [model.nameOf(by), user_id ? model.nameOf(user_id).replace(/^You$/, "you") : ""];
  const texts = {
    created: `${who} created the group${title ? ` “${title}”` : ""}`,
    renamed: `${who} renamed the group to “${title ?? ""}”`,
    member_added: `${who} added ${whom}`,
    member_removed: `${who} removed ${whom}`,
    member_left: `${model.nameOf(user_id ?? by)} left`,
    role_changed: `${who} made ${whom} ${role === "member" ? "a member" : `an ${role}`}`,
    picture_changed: `${who} changed the picture`,
  };
  return texts[event] ?? event;
};
