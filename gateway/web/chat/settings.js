// Oneself: how one is shown, who may see and add one, one's devices, password, and leaving.
import { confirm, dialog, field, form, pictureButton } from "./dialog.js";
import { announce, attempt, briefly, h } from "./dom.js";

const SEEN_BY = [["everyone", "Everyone"], ["contacts", "My contacts"], ["nobody", "Nobody"]];

export const settingsDialog = async (client) => {
  const { api } = client;
  const both = await attempt(() => Promise.all([api.get("/v1/me"), api.get("/v1/sessions")]));
  if (!both) return;
  const [me, { sessions }] = both;
  const again = () => settingsDialog(client);
  const profile = form([
    field("Display name", { name: "display_name", value: me.display_name, required: true, maxlength: "64", autocomplete: "name" }),
    field("About", { name: "about", value: me.about, maxlength: "256" }),
    field("Who sees when you were last here", { name: "last_seen_visible_to", value: me.last_seen_visible_to, options: SEEN_BY }),
    field("Who may add you to groups", { name: "may_add_me", value: me.may_add_me, options: SEEN_BY.slice(0, 2) }),
  ], "Save", async (body) => {
    client.model.setPerson((await api.call("PATCH", "/v1/me", { body })) ?? me);
    announce("Saved");
  });
  const picture = pictureButton(api, (attachment_id) => api.call("PUT", "/v1/me/picture", { body: { attachment_id } }).then(again));
  const end = (session_id) => () =>
    attempt(async () => (await api.call("DELETE", `/v1/sessions/${session_id}`), announce("Signed out there"), again()));
  const device = ({ session_id, device, last_used_at, current }) => h("li", { class: "person" },
    h("span", {}, h("b", { dir: "auto" }, device ?? "A device"),
      h("span", { class: "soft" }, current ? "This device" : `Last used ${briefly(last_used_at)}`)),
    !current && h("button", { type: "button", "aria-label": `Sign out ${device ?? "this device"}`, click: end(session_id) }, "Sign out"));
  const password = form([
    field("Current password", { name: "current", type: "password", autocomplete: "current-password", required: true }),
    field("New password", { name: "new", type: "password", autocomplete: "new-password", required: true },
      "At least 8 characters. All other devices are signed out."),
  ], "Change password", async (body, element) => {
    await api.call("POST", "/v1/me/password", { body });
    element.reset();
    announce("Password changed");
  }, "");
  const save = () => attempt(async () =>
    h("a", { href: URL.createObjectURL(await api.get("/v1/me/export")), download: "herald.ndjson" }).click());
  const leave = () => confirm("Sign out?",
    "What this device holds of your messages is deleted from it; also what was not sent yet.", "Sign out", () => api.logOut());
  dialog("Settings", h("p", { class: "soft" }, `@${me.username}`), profile,
    h("div", { class: "actions" }, picture),
    h("h3", {}, "Devices"), h("ul", { class: "plain" }, sessions.map(device)), h("h3", {}, "Password"), password,
    h("h3", {}, "Your data"), h("div", { class: "actions" }, h("button", { type: "button", click: save }, "Download all of it"),
      h("button", { type: "button", class: "danger", click: leave }, "Sign out")));
};
