// Draws /openapi.json and /asyncapi.json. Text only ever enters the page as text.
"use strict";

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== undefined && child !== null && child !== ""));
  return element;
};

const nameOf = (reference) => reference.split("/").pop();

/** A schema in one line: `string (uuid)`, `Thread[]`, `integer or null`. */
const inShort = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return nameOf(schema.$ref);
  if (schema.oneOf ?? schema.anyOf) return (schema.oneOf ?? schema.anyOf).map(inShort).join(" or ");
  if (schema.allOf) return schema.allOf.map(inShort).join(" and ");
  if (schema.type === "array") return `${inShort(schema.items)}[]`;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  const type = [].concat(schema.type ?? "any").join(" or ");
  return schema.format ? `${type} (${schema.format})` : type;
};

/** The schema with what it refers to in its place. */
const resolve = (api, schema) => (schema?.$ref ? resolve(api, api.components.schemas[nameOf(schema.$ref)]) : schema ?? {});

/** A value that the schema allows, of the examples that its parts give. */
const exampleOf = (api, schema) => {
  const told = resolve(api, schema);
  const own = told.example ?? told.examples?.[0] ?? schema?.example ?? told.default ?? told.enum?.[0];
  if (own !== undefined) return own;
  if (told.allOf) return Object.assign({}, ...told.allOf.map((part) => exampleOf(api, part)));
  if (told.oneOf ?? told.anyOf) return exampleOf(api, (told.oneOf ?? told.anyOf)[0]);
  if (told.properties) {
    return Object.fromEntries(Object.entries(told.properties).map(([name, part]) => [name, exampleOf(api, part)]));
  }
  const type = [].concat(told.type ?? "null")[0];
  return { array: () => [exampleOf(api, told.items)], object: () => ({}), boolean: () => false, string: () => "…",
    integer: () => told.minimum ?? 0, number: () => 0 }[type]?.() ?? null;
};

/** A body of that content, as an example. */
const sample = (api, content) =>
  Object.entries(content ?? {}).filter(([type]) => type === "application/json").map(([, { schema }]) =>
    make("pre", {}, JSON.stringify(exampleOf(api, schema), null, 2)))[0] ?? "";

const table = (head, rows) =>
  rows.length === 0
    ? ""
    : make("table", {},
        make("tr", {}, ...head.map((cell) => make("th", {}, cell))),
        ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell)))));

const contentOf = (content) =>
  Object.entries(content ?? {}).map(([type, { schema }]) => `${type}: ${inShort(schema)}`).join(", ");

const operation = (api, method, path, told) =>
  make("details", {},
    make("summary", {},
      make("span", { class: "method" }, method.toUpperCase()), " ", make("code", {}, path), ` — ${told.summary ?? ""}`),
    make("div", {},
      told.description ? make("p", {}, told.description) : "",
      told.security ? make("p", { class: "soft" }, "Needs Authorization: Bearer.") : "",
      table(["parameter", "in", "type", ""], (told.parameters ?? []).map((parameter) =>
        [parameter.name + (parameter.required ? "" : "?"), parameter.in, inShort(parameter.schema), parameter.description ?? ""])),
      told.requestBody ? make("p", {}, "Body: ", make("code", {}, contentOf(told.requestBody.content))) : "",
      sample(api, told.requestBody?.content),
      table(["status", "", "body", "headers"], Object.entries(told.responses ?? {}).map(([status, response]) =>
        [status, response.description ?? "", contentOf(response.content), Object.keys(response.headers ?? {}).join(", ")])),
      ...Object.entries(told.responses ?? {}).filter(([status]) => status.startsWith("2")).slice(0, 1)
        .map(([, response]) => sample(api, response.content))));

const fieldsOf = (schema) => {
  const shapes = (schema.oneOf ? [schema, ...schema.oneOf] : [schema]).flatMap((one) => one.allOf ?? [one]);
  const fields = shapes.flatMap(({ properties, required }) =>
    Object.entries(properties ?? {}).map(([field, told]) =>
      [field + ((required ?? []).includes(field) ? "" : "?"), inShort(told), told.description ?? told.oneOf?.[0]?.description ?? ""]));
  return table(["field", "type", ""], fields);
};

const shape = (name, schema) =>
  make("details", {},
    make("summary", {}, make("code", {}, name)),
    make("div", {}, schema.description ? make("p", {}, schema.description) : "", fieldsOf(schema)));

/** A frame or a fact: who says it, what answers it, its fields, an example. */
const message = (api, key, operations) => {
  const told = api.components.messages[key];
  const of = Object.values(operations).find(({ messages }) => messages.some(({ $ref }) => nameOf($ref) === key));
  const answers = (of?.reply?.messages ?? []).map(({ $ref }) => api.components.messages[nameOf($ref)].name);
  const says = { receive: "client", send: "server" }[of?.action] ?? "answer";
  return make("details", {},
    make("summary", {}, make("span", { class: "method" }, says), " ", make("code", {}, told.name), ` — ${told.summary}`),
    make("div", {},
      answers.length > 0 ? make("p", {}, `Answered by ${answers.join(" or ")}.`) : "",
      fieldsOf(told.payload),
      make("pre", {}, JSON.stringify(told.examples[0].payload, null, 2))));
};

const drawChannels = (api) => [
  make("p", {}, api.info.description),
  ...Object.entries(api.channels).flatMap(([name, channel]) => {
    const operations = Object.fromEntries(
      Object.entries(api.operations).filter(([, operation]) => nameOf(operation.channel.$ref) === name));
    return [
      make("h2", { id: name }, `${channel.title}: `, make("code", {}, channel.address)),
      make("p", {}, channel.description.replaceAll("`", "")),
      ...Object.keys(channel.messages).map((key) => message(api, key, operations)),
      table(["close code", ""], Object.entries(channel["x-close-codes"] ?? {})),
    ];
  }),
  make("h2", { id: "facts" }, "what happened"),
  ...Object.entries(api.components.schemas).map(([name, schema]) => shape(name, schema)),
];

const draw = (api) => {
  const methods = Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, told]) => ({ method, path, told })));
  return [
    ...(api.info.description ?? "").split("\n\n").map((paragraph) => make("p", {}, paragraph.replaceAll("**", "").replaceAll("`", ""))),
    ...(api.tags ?? []).flatMap(({ name, description }) => [
      make("h2", { id: name }, `${name}: ${description}`),
      ...methods.filter(({ told }) => (told.tags ?? []).includes(name))
        .map(({ method, path, told }) => operation(api, method, path, told)),
    ]),
    make("h2", { id: "shapes" }, "shapes"),
    ...Object.entries(api.components?.schemas ?? {}).map(([name, schema]) => shape(name, schema)),
  ];
};

const show = (name, draw) =>
  fetch(`/${name}.json`)
    .then((response) => response.json())
    .then((api) => document.getElementById(name).replaceChildren(...draw(api)))
    .catch((error) => document.getElementById(name).replaceChildren(make("p", {}, `The document could not be read: ${error}`)));

show("openapi", draw);
show("asyncapi", drawChannels);
