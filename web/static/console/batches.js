// The batches: uploads a file with its progress, and keeps the list up to date.
import { keepLive } from "./live.js";
import { fillRows } from "./rows.js";
import { sendHeaders } from "./send.js";
import { SIGNED_OUT, sayThatSignedOut } from "./signed-out.js";
import { ago, number, percent } from "./words.js";

const EVERY_MS = 2000;
const TYPES = { csv: "text/csv", json: "application/json", ndjson: "application/x-ndjson", jsonl: "application/x-ndjson" };
const TONES = { completed: "good", failed: "bad", cancelled: "warn", cancelling: "warn", expired: "warn" };

const form = document.getElementById("upload");
const chooser = document.getElementById("file");
const bar = document.getElementById("sent");
const note = document.querySelector("[data-sent]");
const body = document.querySelector("[data-rows]");

function headersFor(name) {
  const parts = name.toLowerCase().split(".");
  const isPacked = parts.at(-1) === "gz" && parts.pop() === "gz";
  const type = TYPES[parts.at(-1)];
  return type && { ...sendHeaders(), "Content-Type": type, ...(isPacked ? { "Content-Encoding": "gzip" } : {}) };
}

function upload(file) {
  const headers = headersFor(file.name);
  if (!headers) return say("The name must end in .csv, .ndjson, .jsonl or .json, with .gz behind it when packed.");
  const request = new XMLHttpRequest();
  request.open("POST", "/console/batches");
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  bar.hidden = false;
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    bar.value = total ? loaded / total : 0;
    note.textContent = `${percent(bar.value, 0)} of ${number(total / 1e6, 1)} MB`;
  });
  request.addEventListener("error", () => say("The upload broke off. Nothing was accepted."));
  request.addEventListener("load", () => {
    const found = JSON.parse(request.responseText || "{}");
    if (request.status === 202) location.assign(`/console/batches/${found.id}`);
    else say(found.detail || "The file was refused.");
    if (request.status === SIGNED_OUT) sayThatSignedOut();
  });
  request.send(file);
}

function say(text) {
  bar.hidden = true;
  note.textContent = text;
}

// Who may not upload has no form.
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  if (chooser.files.length) upload(chooser.files[0]);
});
for (const name of ["dragover", "dragleave", "drop"]) {
  form?.addEventListener(name, (event) => {
    event.preventDefault();
    form.toggleAttribute("data-over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) upload(event.dataTransfer.files[0]);
  });
}

keepLive(() => "/console/batches/states", EVERY_MS, (batches) => {
  document.querySelector("[data-none]").hidden = batches.length > 0;
  body.closest(".table-wrap").hidden = batches.length === 0;
  const focused = document.activeElement?.getAttribute?.("href");
  fillRows(body, document.getElementById("batch-row"), batches, (one, row) => {
    row.querySelector("a").href = `/console/batches/${one.id}`;
    row.querySelector("progress").value = one.progress;
    row.querySelector(".mark").classList.add(`mark-${TONES[one.status] ?? "accent"}`);
    return {
      id: one.id, status: one.status.replaceAll("_", " "), rows: number(one.request_counts.total),
      failed: number(one.request_counts.failed), rate: number(one.rows_per_second), created: ago(new Date(one.created_at)),
    };
  });
  if (focused) body.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
});
