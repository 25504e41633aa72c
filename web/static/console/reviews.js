// The review queue, from the keyboard. A verdict waits five seconds before it is sent: until then `u` takes it back.
import { keepLive } from "./live.js";
import { fillRows } from "./rows.js";
import { send, toast } from "./send.js";
import { ago, number, showAgo } from "./words.js";

const EVERY_MS = 4000;
const UNDO_MS = 5000;
const HOLD_AGAIN_MS = 30_000;

const { order, after } = document.querySelector("[data-order]").dataset;
const place = after ? `order=${order}&after=${after}` : `order=${order}`;
const nextPage = document.querySelector("[data-next]");
const list = document.getElementById("cases");
const caseBox = document.getElementById("case");
const help = document.getElementById("help");
const undoButton = document.querySelector('[data-key="u"]');
const pendingNote = document.querySelector("[data-pending]");

let cases = [];
let chosen = null;
const settled = new Set(); // said here: not shown again while the label is on its way
const skipped = new Set();
const pending = []; // verdicts that can still be taken back, the newest last

const idOf = (one) => one.case.decision.decision_id;
const path = (id, what) => `/console/reviews/${encodeURIComponent(id)}/${what}`;
const rowOf = (id) => list.querySelector(`[data-id="${CSS.escape(id)}"]`);
const say = (name, text) => (document.querySelector(`[data-value="${name}"]`).textContent = text);

function showQueue(queue) {
  say("open", number(queue.open));
  say("oldest", queue.oldest_at ? ago(new Date(queue.oldest_at)) : "–");
  say("done", number(queue.done_today));
  nextPage.hidden = !queue.next;
  if (queue.next) nextPage.search = `?order=${order}&after=${new URLSearchParams(queue.next.split("?")[1]).get("after")}`;
  cases = queue.reviews.filter((one) => !settled.has(idOf(one)));
  showCases();
  if (chosen === null && document.activeElement === document.body) step(1, { focus: false });
}

function showCases() {
  const focused = document.activeElement?.dataset?.id;
  const shown = [...cases.filter((one) => !skipped.has(idOf(one))), ...cases.filter((one) => skipped.has(idOf(one)))];
  fillRows(list, document.getElementById("case-row"), shown, (one, row) => {
    const button = row.querySelector("button");
    button.dataset.id = idOf(one);
    button.toggleAttribute("data-held", one.is_held);
    if (idOf(one) === chosen) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => choose(idOf(one)));
    const { decision, amount } = one.case;
    const state = one.is_held ? ", held by another" : skipped.has(idOf(one)) ? ", skipped" : "";
    return {
      loss: number(one.expected_loss, 2), id: decision.transaction_id,
      note: `${number(amount, 2)} at ${decision.fraud_probability.toFixed(2)}, ${ago(new Date(decision.scored_at))}${state}`,
    };
  });
  document.querySelector("[data-none]").hidden = shown.length > 0;
  if (focused) rowOf(focused)?.focus({ preventScroll: true });
}

const rows = () => [...list.querySelectorAll("button")];

function step(direction, { focus = true } = {}) {
  const all = rows();
  const from = all.findIndex((row) => row.dataset.id === chosen);
  const way = direction > 0 ? all.slice(from + 1) : all.slice(0, Math.max(0, from)).reverse();
  const next = way.find((row) => !row.hasAttribute("data-held"));
  if (next) choose(next.dataset.id, { focus });
}

async function choose(id, { focus = true } = {}) {
  if (chosen !== null && chosen !== id) letGo(chosen);
  chosen = id;
  for (const row of rows()) row.toggleAttribute("aria-current", row.dataset.id === id);
  rowOf(id)?.setAttribute("aria-current", "true");
  rowOf(id)?.scrollIntoView({ block: "nearest" });
  if (focus) rowOf(id)?.focus({ preventScroll: true });
  try {
    await send(path(id, "claim"));
    await showCase(id);
  } catch (refused) {
    if (chosen === id) caseBox.innerHTML = "<p class='quiet'></p>";
    if (chosen === id) caseBox.firstElementChild.textContent = refused.message;
    markHeld(id, refused.code);
  }
}

function markHeld(id, code) {
  if (code !== "review_held") return;
  cases = cases.map((one) => (idOf(one) === id ? { ...one, is_held: true } : one));
  showCases();
}

async function showCase(id) {
  const answer = await fetch(path(id, "case"), { headers: { Accept: "text/html" } });
  if (chosen !== id) return;
  caseBox.innerHTML = answer.ok ? await answer.text() : "<p class='quiet'>This case cannot be shown now.</p>";
  showAgo(caseBox);
}

function letGo(id) {
  if (!settled.has(id)) send(path(id, "release"), { keepalive: true }).catch(() => {});
}

function verdict(isFraud) {
  const one = cases.find((it) => idOf(it) === chosen);
  if (!one) return;
  if (one.is_held) return toast("Another reviewer holds this case.", "bad");
  const id = idOf(one);
  const following = nextAfter(id);
  settled.add(id);
  cases = cases.filter((it) => it !== one);
  pending.push({ id, one, isFraud, timer: setTimeout(() => sendVerdict(id), UNDO_MS) });
  showPending();
  chosen = null;
  showCases();
  caseBox.innerHTML = "<p class='quiet'>Nothing is chosen.</p>";
  if (following) choose(following);
}

function nextAfter(id) {
  const free = rows().filter((row) => !row.hasAttribute("data-held"));
  const from = free.findIndex((row) => row.dataset.id === id);
  return (free[from + 1] ?? free[from - 1])?.dataset.id;
}

function undo() {
  const last = pending.pop();
  if (!last) return;
  clearTimeout(last.timer);
  settled.delete(last.id);
  cases = [last.one, ...cases];
  showCases();
  showPending();
  choose(last.id);
}

async function sendVerdict(id, { keepalive = false } = {}) {
  const at = pending.findIndex((it) => it.id === id);
  if (at < 0) return;
  const [{ one, isFraud }] = pending.splice(at, 1);
  showPending();
  try {
    await send(path(id, "label"), { body: JSON.stringify({ is_fraud: isFraud }), keepalive });
    say("done", number(1 + Number(document.querySelector('[data-value="done"]').textContent.replaceAll(",", ""))));
  } catch (refused) {
    settled.delete(id);
    cases = [one, ...cases];
    showCases();
    toast(`Not stored: ${refused.message}`, "bad", 10_000);
  }
}

function showPending() {
  const last = pending.at(-1);
  undoButton.disabled = !last;
  pendingNote.textContent = last
    ? `${last.one.case.decision.transaction_id}: ${last.isFraud ? "fraud" : "genuine"}. Sent in five seconds; u takes it back.`
    : "";
}

function skip() {
  if (chosen === null) return;
  skipped.add(chosen);
  const following = nextAfter(chosen);
  letGo(chosen);
  chosen = null;
  showCases();
  if (following) choose(following);
}

const KEYS = {
  j: () => step(1), k: () => step(-1), f: () => verdict(true), g: () => verdict(false), s: skip, u: undo,
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, select, textarea, dialog[open]");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
});
for (const button of document.querySelectorAll("[data-key]")) {
  button.addEventListener("click", () => KEYS[button.dataset.key]());
}
document.querySelector("[data-help]").addEventListener("click", KEYS["?"]);

// Who leaves the page has decided: what waits is sent, what is held is let go.
addEventListener("pagehide", () => {
  for (const { id } of [...pending]) sendVerdict(id, { keepalive: true });
  if (chosen !== null) letGo(chosen);
});
setInterval(() => chosen !== null && send(path(chosen, "claim")).catch((refused) => markHeld(chosen, refused.code)), HOLD_AGAIN_MS);
keepLive(() => `/console/reviews/queue?${place}`, EVERY_MS, showQueue);
