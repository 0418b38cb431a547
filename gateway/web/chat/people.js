// People: finding somebody, contacts under names of one's own, and whom one does not want to hear.
import { confirm, dialog, field, form } from "./dialog.js";
import { announce, attempt, avatar, briefly, h } from "./dom.js";
import { write } from "./thread.js";

/** A line with somebody in it; their name leads to them. */
export const personLine = (client, user_id, ...rest) => {
  const { model } = client;
  const [person, presence] = [model.people.get(user_id) ?? client.meet(user_id), model.presence.get(user_id)];
  const name = user_id === client.me ? `${person?.display_name ?? ""} (you)` : model.nameOf(user_id);
  return h("li", { class: "person" },
    h("button", { type: "button", class: "who", click: () => personDialog(client, user_id) },
      avatar(client, user_id, name, person?.picture, presence?.online),
      h("span", {}, h("b", { dir: "auto" }, name), person?.username && h("span", { class: "soft" }, `@${person.username}`))), rest);
};

export const peopleDialog = (client) => {
  const { model } = client;
  const byName = (a, b) => model.nameOf(a).localeCompare(model.nameOf(b));
  const list = (title, ids, none) => [h("h3", {}, title),
    ids.length > 0 ? h("ul", { class: "plain" }, ids.sort(byName).map((id) => personLine(client, id))) : h("p", { class: "soft" }, none)];
  dialog("People", h("button", { type: "button", class: "primary", click: () => findDialog(client) }, "Find somebody"),
    list("Contacts", [...model.contacts.keys()], "Nobody yet. Open somebody's profile to keep them here."),
    model.blocks.size > 0 && list("Blocked", [...model.blocks], ""));
};

/** Looks somebody up by their whole username, as `act` then needs them. */
export const findForm = (client, action, act) =>
  form([field("Username", { name: "username", required: true, autocomplete: "off", autocapitalize: "none", spellcheck: "false" },
    "The whole name, as they told you")], action, async ({ username }, element) => {
    const user = await client.api.get(`/v1/users?username=${encodeURIComponent(username.trim().replace(/^@/, ""))}`);
    client.model.setPerson(user);
    await act(user, element);
  });

export const findDialog = (client) => dialog("Message somebody", findForm(client, "Find", (user) => personDialog(client, user.user_id)),
  client.model.contacts.size > 0 && [h("h3", {}, "Contacts"),
    h("ul", { class: "plain" }, [...client.model.contacts.keys()].map((id) => personLine(client, id)))]);

export const personDialog = async (client, user_id) => {
  const { model } = client;
  const user = (await client.api.get(`/v1/users/${user_id}`).catch(() => null)) ?? model.people.get(user_id);
  if (!user) return dialog("Somebody", h("p", {}, "This account is gone, or not for you to see."));
  model.setPerson(user);
  const [isContact, isBlocked, presence] = [model.contacts.has(user_id), model.blocks.has(user_id), model.presence.get(user_id)];
  const seen = presence?.online ? "Online" : presence?.last_seen ? `Last seen ${briefly(presence.last_seen)}` : "";
  const again = (act, said) => () => attempt(async () => (await act(), announce(said), personDialog(client, user_id)));
  const box = dialog(user.display_name,
    h("div", { class: "profile" }, avatar(client, user_id, user.display_name, user.picture, presence?.online),
      h("div", {}, h("p", {}, `@${user.username}`), h("p", { class: "soft" }, seen), h("p", { dir: "auto" }, user.about))),
    user_id !== client.me && [
      h("div", { class: "actions" }, h("button", { type: "button", class: "primary", click: () => write(client, user_id) }, "Message"),
        isContact ? h("button", { type: "button", click: again(() => client.removeContact(user_id), "Contact removed") }, "Remove contact")
          : h("button", { type: "button", click: again(() => client.saveContact(user_id, null), "Contact saved") }, "Add contact"),
        isBlocked ? h("button", { type: "button", click: again(() => client.block(user_id, false), "Unblocked") }, "Unblock")
          : h("button", { type: "button", class: "danger", click: () => confirm(`Block ${user.display_name}?`,
            "They can neither write to you, nor see you, nor add you to groups.", "Block", () => client.block(user_id, true)) }, "Block")),
      isContact && form([field("Your name for them", { name: "alias", value: model.contacts.get(user_id) ?? "", maxlength: "64" },
        "Only you see it")], "Save name", async ({ alias }) => (await client.saveContact(user_id, alias.trim() || null), box.close()), "")]);
  return box;
};
