// Dialogs and menus: modal, closed by Escape, and focus goes back to where it came from.
import { attempt, h, iconButton, toast } from "./dom.js";

/** Shows a dialog with that title; resolves once it is closed. */
export const dialog = (title, ...content) => {
  const heading = h("h2", { id: "dialog-title" }, title);
  const box = h("dialog", { "aria-labelledby": "dialog-title" }, h("header", {}, heading), h("div", { class: "dialog-body" }, content));
  box.firstChild.append(iconButton("close", "Close", () => box.close()));
  box.addEventListener("pointerdown", (event) => event.target === box && box.close());
  document.querySelector("dialog[open]")?.close();
  const before = document.activeElement;
  document.body.append(box);
  box.showModal();
  // Nor is it heard: what speaks goes with the dialog.
  const speakers = ["toasts", "announcer"].map((id) => document.getElementById(id));
  box.append(...speakers);
  box.addEventListener("close", () => {
    if (box.contains(speakers[0])) document.body.append(...speakers);
    box.remove();
    if (before?.isConnected) before.focus();
  });
  return box;
};

export const field = (label, attributes, hint) => {
  const id = `field-${label.toLowerCase().replace(/\W+/g, "-")}`;
  const { options, value, ...rest } = attributes;
  const input = h(options ? "select" : "input", { id, "aria-describedby": hint ? `${id}-hint` : null, ...rest },
    (options ?? []).map(([value, text]) => h("option", { value }, text)));
  if (value !== undefined && value !== null) input.value = value;
  return h("div", { class: "field" }, h("label", { for: id }, label), input, hint && h("p", { class: "hint", id: `${id}-hint` }, hint));
};

/** What a picture is chosen with: it is uploaded, and `change` is told which attachment it is. */
export const pictureButton = (api, change) => {
  const input = h("input", { type: "file", accept: "image/png,image/jpeg,image/gif,image/webp", hidden: true,
    change: () => attempt(async () => change((await api.upload(input.files[0])).attachment_id)) });
  return [input, h("button", { type: "button", click: () => input.click() }, "Change picture")];
};

/** A form of fields whose problem is shown in it, and at the field at fault. */
export const form = (fields, action, submit, kind = "primary") => {
  const problem = h("p", { class: "problem", role: "alert" });
  const button = h("button", { type: "submit", class: kind }, action);
  const act = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    for (const input of element.elements) input.removeAttribute("aria-invalid");
    button.disabled = true;
    try {
      await submit(Object.fromEntries(new FormData(element)), element);
    } catch (error) {
      problem.textContent = error.message;
      for (const { field } of error.errors ?? []) element.elements[field]?.setAttribute("aria-invalid", "true");
      element.querySelector("[aria-invalid]")?.focus();
    } finally {
      button.disabled = false;
    }
  };
  const element = h("form", { submit: act, novalidate: true }, fields, problem, h("div", { class: "actions" }, button));
  return element;
};

/** Asks whether to go on; acts if so. */
export const confirm = (title, text, action, act) => {
  const go = async () => {
    await act();
    box.close();
  };
  const box = dialog(title, h("p", {}, text), form([], action, go, "danger"));
};

/** A menu at an element: `[label, act, kind?]` each, above them `top`, if any. */
export const menu = (at, label, entries, top = null) => {
  document.querySelector(".menu")?.remove();
  const close = () => {
    box.remove();
    if (at.isConnected) at.focus();
  };
  const run = (act) => async () => {
    close();
    try {
      await act();
    } catch (problem) {
      toast(problem.message);
    }
  };
  const button = ([text, act, kind]) => h("button", { type: "button", role: "menuitem", class: kind ?? "", click: run(act) }, text);
  const box = h("div", { class: "menu", role: "menu", "aria-label": label, popover: "auto" },
    top && h("div", { class: "menu-top", role: "none" }, top.map(button)), entries.map(button));
  box.addEventListener("keydown", (event) => {
    const items = [...box.querySelectorAll("[role=menuitem]")];
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") close();
    if (step) items.at((items.indexOf(document.activeElement) + step) % items.length).focus();
    if (step || event.key === "Escape" || event.key === "Tab") event.preventDefault();
  });
  box.addEventListener("toggle", ({ newState }) => newState === "closed" && box.remove());
  // What lies outside an open dialog cannot be used.
  (at.closest("dialog") ?? document.body).append(box);
  box.showPopover();
  const [from, own] = [at.getBoundingClientRect(), box.getBoundingClientRect()];
  box.style.left = `${Math.max(8, Math.min(from.right - own.width, innerWidth - own.width - 8))}px`;
  box.style.top = `${from.bottom + own.height + 8 < innerHeight ? from.bottom + 4 : Math.max(8, from.top - own.height - 4)}px`;
  box.querySelector("[role=menuitem]").focus();
};
