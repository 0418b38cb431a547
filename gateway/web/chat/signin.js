// Before there is a session: signing in, signing up, and what this is.
import { field, form } from "./dialog.js";
import { h } from "./dom.js";

const device = () => {
  const system = /Android|iPhone|iPad|Windows|Mac OS|Linux/.exec(navigator.userAgent)?.[0] ?? "another system";
  const browser = /(Edg|Firefox|OPR|Chrome|Safari)\//.exec(navigator.userAgent)?.[1]?.replace("Edg", "Edge") ?? "A browser";
  return `${browser} on ${system.replace("Mac OS", "macOS")}`;
};

/** A page that signs in; `done` is called once there is a session. */
export const signInPage = (api, done) => {
  const page = h("main", { class: "sign-in" });
  const username = () => field("Username", { name: "username", required: true,
    autocomplete: "username", autocapitalize: "none", spellcheck: "false" });
  const displayName = () => field("Display name", { name: "display_name", required: true, maxlength: "64", autocomplete: "name" });
  const password = (isNew) => field("Password", { name: "password", type: "password", required: true,
    autocomplete: isNew ? "new-password" : "current-password" }, isNew && "At least 8 characters; long sentences are best");
  const show = (isNew) => {
    const fields = [username(), isNew && displayName(), password(isNew)];
    const act = form(fields.filter(Boolean), isNew ? "Create account" : "Sign in", async (body) => {
      await (isNew ? api.signUp({ ...body, device: device() }) : api.logIn({ ...body, device: device() }));
      done();
    });
    page.replaceChildren(h("div", { class: "card" }, h("h1", {}, "Herald"),
      h("p", { class: "soft" }, isNew ? "A new account" : "Sign in to your conversations"), act,
      h("p", {}, isNew ? "You have an account? " : "No account yet? ",
        h("button", { type: "button", class: "link", click: () => show(!isNew) }, isNew ? "Sign in" : "Sign up"))),
      h("footer", { class: "soft" }, "Messages are not end-to-end encrypted: the server can read them. ",
        h("a", { href: "/docs" }, "For developers"), " · ", h("a", { href: "/readyz" }, "Status")));
    page.querySelector("input").focus();
  };
  show(false);
  return page;
};
