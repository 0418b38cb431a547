// Elements, and how texts, times and faces look in them. Text enters the page as text only: nothing parses HTML.

/** An element; attributes that are functions listen, `false` and null leave an attribute or child out. */
export const h = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
};

const icons = {
  attach: "M8 12.5l5.6-5.6a2.5 2.5 0 013.5 3.5l-7 7a4.4 4.4 0 01-6.2-6.2l7-7",
  back: "M15 5l-7 7 7 7", close: "M6 6l12 12M18 6L6 18", more: "M6 12h.01M12 12h.01M18 12h.01", new: "M12 5v14M5 12h14",
  people: "M9 11a3.5 3.5 0 100-7 3.5 3.5 0 000 7zm-6 9a6 6 0 0112 0M16 4.5a3.5 3.5 0 010 6.5m2 3a6 6 0 013 6",
  search: "M10.5 17a6.5 6.5 0 100-13 6.5 6.5 0 000 13zm5-1.5L20 20", send: "M12 20V5m-6 6l6-6 6 6",
  settings: "M4 7h10m4 0h2M4 17h2m4 0h10M16 9.5a2.5 2.5 0 100-5 2.5 2.5 0 000 5zM8 19.5a2.5 2.5 0 100-5 2.5 2.5 0 000 5z",
};

export const icon = (name) => {
  const make = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const svg = make("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: `icon icon-${name}` });
  svg.append(make("path", { d: icons[name] }));
  return svg;
};

export const iconButton = (name, label, click, more = {}) =>
  h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, click, ...more }, icon(name));

const link = /\bhttps?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}]/g;

/** A text with its addresses as links, and those words marked. */
export const rich = (text, marked = []) => {
  const words = marked.map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|");
  const find = words ? new RegExp(`${link.source}|(?:${words})(?![\\p{L}\\p{N}_])`, "giu") : link;
  const nodes = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(find)) {
    nodes.push(text.slice(end, index));
    const isLink = URL.canParse(found) && /^https?:$/.test(new URL(found).protocol);
    nodes.push(isLink ? h("a", { href: found, target: "_blank", rel: "noopener noreferrer" }, found) : h("mark", {}, found));
    end = index + found.length;
  }
  return [...nodes, text.slice(end)];
};

const format = (options) => new Intl.DateTimeFormat(undefined, options);
const clock = format({ hour: "2-digit", minute: "2-digit" });
const weekday = format({ weekday: "short" });
const date = format({ day: "numeric", month: "short" });
const dateOfYear = format({ day: "numeric", month: "short", year: "numeric" });
const whole = format({ dateStyle: "full", timeStyle: "short" });
const longDay = format({ weekday: "long", day: "numeric", month: "long" });
const DAY = 86_400_000;

export const timeOf = (time) => clock.format(new Date(time));
export const dayOf = (time) => new Date(time).toDateString();

/** A day, as a line between messages says it. */
export const dayLine = (time) => {
  const ago = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(time).setHours(0, 0, 0, 0)) / DAY);
  if (ago < 2) return ago < 1 ? "Today" : "Yesterday";
  return (ago < 300 ? longDay : dateOfYear).format(new Date(time));
};

/** A moment in a list: the nearer, the more exact. */
export const briefly = (time) => {
  const [then, ago] = [new Date(time), Date.now() - new Date(time)];
  if (dayOf(time) === new Date().toDateString()) return clock.format(then);
  return (ago < 6 * DAY ? weekday : ago < 300 * DAY ? date : dateOfYear).format(then);
};

export const timeElement = (time, shown) => h("time", { datetime: time, title: whole.format(new Date(time)) }, shown);

export const bytes = (size) =>
  size < 1000 ? `${size} B` : size < 1e6 ? `${Math.round(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`;

/** Somebody's face, or a group's: its picture, else the first letters of the name on a colour of its own. */
export const avatar = (client, id, name, picture, online = false) => {
  const letters = (name.match(/(?<![\p{L}\p{N}])[\p{L}\p{N}]/gu) ?? ["?"]).slice(0, 2).join("").toUpperCase();
  const hue = parseInt(id.slice(-2), 16) % 8;
  const face = h("span", { class: `avatar hue-${hue}${online ? " online" : ""}`, "aria-hidden": "true" }, letters);
  if (picture) {
    client.file(picture, "image/*").then((src) => face.replaceChildren(h("img", { src, alt: "" })), () => {});
  }
  return face;
};

/** Says something to those who hear the page. */
export const announce = (text) => {
  const line = h("p", {}, text);
  document.getElementById("announcer").append(line);
  setTimeout(() => line.remove(), 5_000);
};

/** Shows something for a while. */
export const toast = (text, kind = "error") => {
  const box = h("div", { class: `toast ${kind}` }, h("span", {}, text));
  box.append(iconButton("close", "Dismiss", () => box.remove()));
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), 8_000);
};

/** Does something; what is wrong with it is shown. */
export const attempt = async (act) => {
  try {
    return await act();
  } catch (problem) {
    toast(problem.message);
    return undefined;
  }
};
