// How a page asks the server for a change, and tells the person what came of it.
import { SIGNED_OUT, sayThatSignedOut } from "./signed-out.js";

const token = document.querySelector("meta[name=tollgate-token]").content;

export class Refused extends Error {
  constructor(problem) {
    super(problem.detail || problem.title || "It did not work");
    this.code = problem.code;
  }
}

// POST with the page's token. Throws Refused with the server's reason, or when nobody answers.
export async function send(path, { body = null, type = "application/json", keepalive = false } = {}) {
  const headers = { "X-Tollgate-Token": token, Accept: "application/json" };
  if (body !== null) headers["Content-Type"] = type;
  let answer;
  try {
    answer = await fetch(path, { method: "POST", headers, body, keepalive });
  } catch {
    throw new Refused({ detail: "The server does not answer. Nothing was changed." });
  }
  if (answer.status === SIGNED_OUT) sayThatSignedOut();
  const found = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(found);
  return found;
}

export const sendHeaders = () => ({ "X-Tollgate-Token": token, Accept: "application/json" });

export function toast(text, tone = "plain", stayMs = 5000) {
  const note = document.createElement("div");
  note.className = `toast toast-${tone}`;
  note.textContent = text;
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), stayMs);
  return note;
}
