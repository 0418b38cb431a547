// Groups: beginning one, who is in it in what role, and what its leaders may change.
import { confirm, dialog, field, form, menu, pictureButton } from "./dialog.js";
import { announce, attempt, h, iconButton } from "./dom.js";
import { findForm, personLine } from "./people.js";
import { goTo } from "./thread.js";

const LEADS = { owner: 2, admin: 1, member: 0 };

export const newGroupDialog = (client) => {
  const chosen = new Set();
  const list = h("ul", { class: "plain", "aria-label": "Members" });
  const draw = () => list.replaceChildren(...[...chosen].map((id) => personLine(client, id,
    iconButton("close", `Do not add ${client.model.nameOf(id)}`, () => (chosen.delete(id), draw())))));
  const add = (id) => (chosen.add(id), announce(`${client.model.nameOf(id)} added`), draw());
  const contacts = [...client.model.contacts.keys()].map((id) =>
    h("button", { type: "button", class: "chip", dir: "auto", click: () => add(id) }, client.model.nameOf(id)));
  dialog("New group",
    contacts.length > 0 && [h("h3", {}, "Add contacts"), h("div", { class: "chips" }, contacts)],
    findForm(client, "Add", (user, element) => (add(user.user_id), element.reset())), list,
    form([field("Title", { name: "title", required: true, maxlength: "64" })], "Create group",
      async ({ title }) => goTo(await client.openGroup(title.trim(), [...chosen]))));
};

export const groupDialog = async (client, thread_id) => {
  const thread = client.model.threads.get(thread_id);
  const members = await attempt(() => client.members(thread_id));
  if (!members) return;
  const path = `/v1/threads/${thread_id}`;
  const own = members.find(({ user_id }) => user_id === client.me)?.role ?? thread.role;
  const leads = LEADS[own] > 0;
  const change = async (method, where, body, said) => {
    await client.change(thread_id, method, path + where, body);
    client.model.timeline(thread_id).members = null;
    announce(said);
    await groupDialog(client, thread_id);
  };
  const options = ({ user_id, role }, at) => {
    const member = `/members/${user_id}`;
    const name = client.model.nameOf(user_id);
    const roles = Object.keys(LEADS).filter((one) => one !== role && LEADS[one] <= LEADS[own]);
    menu(at, `Options for ${name}`, [
      ...roles.map((one) => [`Make ${one === "member" ? "a member" : `an ${one}`}`, () => change("PUT", member, { role: one }, `${name} is ${one}`)]),
      ["Remove from group", () => change("DELETE", member, undefined, `${name} removed`), "danger"]]);
  };
  const line = (member) => personLine(client, member.user_id,
    member.role !== "member" && h("span", { class: "role" }, member.role),
    leads && member.user_id !== client.me && (LEADS[member.role] < LEADS[own] || own === "owner")
      && iconButton("more", `Options for ${client.model.nameOf(member.user_id)}`, (event) => options(member, event.currentTarget),
        { "aria-haspopup": "menu" }));
  const leave = () => confirm("Leave this group?", "You will no longer see what is written in it.", "Leave", async () => {
    await client.api.call("DELETE", `${path}/members/${client.me}`);
    client.model.dropThread(thread_id);
    goTo("");
  });
  const picture = pictureButton(client.api, (attachment_id) => change("PUT", "/picture", { attachment_id }, "Picture changed"));
  dialog(client.model.titleOf(thread),
    leads && [form([field("Title", { name: "title", value: thread.title, required: true, maxlength: "64" })], "Rename",
      ({ title }) => change("PATCH", "", { title: title.trim() }, "Renamed"), ""),
    h("div", { class: "actions" }, picture),
    h("h3", {}, "Add somebody"),
    findForm(client, "Add to group", ({ user_id, display_name }) => change("PUT", `/members/${user_id}`, {}, `${display_name} added`))],
    h("h3", {}, `${members.length} ${members.length === 1 ? "member" : "members"}`), h("ul", { class: "plain" }, members.map(line)),
    h("div", { class: "actions" }, h("button", { type: "button", class: "danger", click: leave }, "Leave group")));
};
