// Sends what an operation's form holds, and shows the answer as it comes.
"use strict";

for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form).catch((error) => show(form, `No answer: ${error.message}`));
  });
}

async function send(form) {
  show(form, "…");
  const { url, headers } = addressed(form);
  const body = form.querySelector("textarea")?.value;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const key = document.getElementById("key").value;
  if (key) headers["X-API-Key"] = key;
  const answer = await fetch(url, { method: form.dataset.method, headers, body });
  await read(answer, (text) => show(form, `${answer.status} ${answer.statusText}\n\n${text}`));
}

function addressed(form) {
  const query = new URLSearchParams();
  const headers = {};
  let path = form.dataset.path.slice(1); // relative to this page, which may lie behind a prefix
  for (const { name, value, dataset } of form.querySelectorAll("input")) {
    if (dataset.place === "path") path = path.replace(`{${name}}`, value.split("/").map(encodeURIComponent).join("/"));
    else if (value && dataset.place === "query") query.append(name, value);
    else if (value) headers[name] = value;
  }
  return { url: query.size ? `${path}?${query}` : path, headers };
}

async function read(answer, tell) {
  const decoder = new TextDecoder();
  const reader = answer.body.getReader();
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += decoder.decode(part.value, { stream: true });
    tell(text);
  }
  tell(pretty(text));
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function show(form, text) {
  const shown = form.querySelector("pre");
  shown.hidden = false;
  shown.textContent = text;
}
