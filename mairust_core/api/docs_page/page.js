"use strict";

// Everything shown is set as text, never as HTML: answers hold what strangers wrote in their mail.

const byId = (id) => document.getElementById(id);

function make(name, options = {}, ...children) {
  const node = Object.assign(document.createElement(name), options);
  node.append(...children);
  return node;
}

function schemaOf(document_, schema) {
  const named = schema && schema.$ref && schema.$ref.split("/").pop();
  return named ? document_.components.schemas[named] : schema || {};
}

function example(document_, schema) {
  const found = schemaOf(document_, schema);
  if (found.default !== undefined) return found.default;
  if (found.enum) return found.enum[0];
  if (found.anyOf) return example(document_, found.anyOf[0]);
  if (found.type === "array") return found.items ? [example(document_, found.items)] : [];
  if (found.type === "object") {
    const required = found.required || [];
    const names = Object.keys(found.properties || {}).filter((name) => required.includes(name));
    return Object.fromEntries(names.map((name) => [name, example(document_, found.properties[name])]));
  }
  return { integer: 0, number: 0, boolean: false }[found.type] ?? "";
}

function field(parameter) {
  const given = parameter.schema && parameter.schema.default;
  const input = make("input", { placeholder: given === undefined ? "" : String(given) });
  const label = make("label", {}, `${parameter.name} (${parameter.in}${parameter.required ? ", required" : ""})`, input);
  return { parameter, input, label };
}

function address(path, fields) {
  const query = new URLSearchParams();
  for (const { parameter, input } of fields) {
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "query" && input.value !== "") query.append(parameter.name, input.value);
  }
  return query.size ? `${path}?${query}` : path;
}

function headersOf(fields) {
  const given = fields.filter(({ parameter, input }) => parameter.in === "header" && input.value !== "");
  return Object.fromEntries(given.map(({ parameter, input }) => [parameter.name, input.value]));
}

async function send(method, path, fields, body, output) {
  const headers = headersOf(fields);
  if (byId("key").value) headers.Authorization = `Bearer ${byId("key").value}`;
  if (body) headers["Content-Type"] = body.mediaType;
  const target = address(path, fields);
  output.hidden = false;
  output.textContent = `${method.toUpperCase()} ${target} …`;
  try {
    const answer = await fetch(target, { method: method.toUpperCase(), headers, body: body && body.input.value });
    const text = await answer.text();
    const json = (answer.headers.get("Content-Type") || "").includes("json");
    output.textContent = `${answer.status} ${answer.headers.get("X-Request-Id") || ""}\n\n` +
      (json ? JSON.stringify(JSON.parse(text), null, 2) : text);
  } catch (error) {
    output.textContent = `The request failed: ${error.message}`;
  }
}

function bodyField(document_, operation) {
  const content = operation.requestBody && operation.requestBody.content;
  if (!content) return null;
  const mediaType = Object.keys(content)[0];
  const schema = content[mediaType].schema;
  const text = mediaType.includes("json") ? JSON.stringify(example(document_, schema), null, 2) : "Subject: Hello\n\nHello.\n";
  return { mediaType, input: make("textarea", { value: text, spellcheck: false }) };
}

function responses(operation) {
  const rows = Object.entries(operation.responses).map(([status, found]) =>
    make("tr", {}, make("td", { textContent: status }), make("td", { textContent: found.description })));
  return make("table", {}, ...rows);
}

function show(document_, path, method, operation) {
  const fields = (operation.parameters || []).map(field);
  const body = bodyField(document_, operation);
  const output = make("pre", { hidden: true });
  const button = make("button", { type: "button", textContent: "Send" });
  button.addEventListener("click", () => send(method, path, fields, body, output));
  const parts = [make("p", { textContent: operation.description || "" }), ...fields.map((found) => found.label)];
  if (body) parts.push(make("label", {}, `body (${body.mediaType})`, body.input));
  parts.push(button, output, make("h4", { textContent: "Answers" }), responses(operation));
  return make("details", { id: operation.operationId },
    make("summary", {},
      make("span", { className: `method ${method}`, textContent: method.toUpperCase() }),
      make("code", { textContent: path }), " ",
      make("span", { className: "what", textContent: operation.summary })),
    make("div", {}, ...parts));
}

async function start() {
  const document_ = await (await fetch("/api/v1/openapi.json")).json();
  byId("about").textContent = document_.info.description;
  for (const tag of document_.tags) {
    byId("contents").append(make("a", { href: `#${tag.name}`, textContent: tag.name }));
    byId("operations").append(make("h2", { id: tag.name, textContent: tag.name }), make("p", { textContent: tag.description }));
    for (const [path, methods] of Object.entries(document_.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags.includes(tag.name)) byId("operations").append(show(document_, path, method, operation));
      }
    }
  }
}

start().catch((error) => { byId("about").textContent = `The document cannot be read: ${error.message}`; });
