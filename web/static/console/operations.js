// Operations: queues and workers as they are, faults as they are counted; dead letters ask before they are replayed.
import "./asking.js";
import { keepLive } from "./live.js";
import { fillRows } from "./rows.js";
import { duration, number } from "./words.js";
import { showWrong } from "./wrong.js";

const EVERY_MS = 3000;
const NO_CURVES = 2 ** 39;
const TONES = { serving: "good", ready: "good", silent: "bad", loading: "warn", refused: "bad", starting: "warn" };
// What is counted when something does not go as it should: metric, labels, words.
const FAULTS = [
  ["tollgate_late_total", {}, "Scores that came late"],
  ["tollgate_late_total", { outcome: "rules" }, "of these decided by the rules alone"],
  ["tollgate_refused_total", { reason: "overloaded" }, "Refused: overloaded"],
  ["tollgate_refused_total", { reason: "broker_unavailable" }, "Refused: the broker was gone"],
  ["tollgate_refused_total", { reason: "ledger_unavailable" }, "Refused: the ledger was gone"],
  ["tollgate_rows_total", { outcome: "expired" }, "Dropped after their deadline"],
  ["tollgate_rows_total", { outcome: "failed" }, "Rows that could not be scored"],
  ["tollgate_rows_total", { outcome: "duplicate" }, "Answered from an earlier decision"],
  ["tollgate_redeliveries_total", {}, "Messages given out once more"],
  ["tollgate_model_reloads_total", { result: "refused" }, "Bundles refused at a reload"],
  ["tollgate_journal_refused", {}, "Entries that the ledger refused for good"],
];

const say = (name, text) => (document.querySelector(`[data-value="${name}"]`).textContent = text);

// The lines of the text exposition format as {name, labels, value}.
function samples(text) {
  return [...text.matchAll(/^([a-z_]+)(?:\{([^}]*)\})? ([^ \n]+)/gm)].map(([, name, labels = "", value]) => ({
    name, value: Number(value), labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, held]) => [key, held])),
  }));
}

function sum(all, name, labels = {}) {
  const fits = (one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value);
  return all.filter(fits).reduce((total, one) => total + one.value, 0);
}

async function showFaults() {
  const answer = await fetch("/prometheus").catch(() => null);
  if (!answer?.ok) return;
  const all = samples(await answer.text());
  const rows = FAULTS.flatMap(([name, labels, words]) => {
    const count = sum(all, name, labels);
    const term = Object.assign(document.createElement("dt"), { textContent: words });
    return [term, Object.assign(document.createElement("dd"), { textContent: number(count), className: count ? "num strong" : "num" })];
  });
  document.querySelector("[data-faults]").replaceChildren(...rows);
  const oldest = Math.max(...all.filter((one) => one.name === "tollgate_journal_lag_seconds").map((one) => one.value), 0);
  say("lag", oldest ? duration(oldest) : "–");
}

keepLive(() => `/console/live?since=${NO_CURVES}`, EVERY_MS, (now) => {
  say("dead", number(now.dead_letters));
  say("inbox", number(now.inbox));
  say("journal", number(now.journal));
  showWrong(now);
  document.querySelector('[data-tile="dead"]').classList.toggle("tile-bad", now.dead_letters > 0);
  fillRows(document.querySelector("[data-rows=queues]"), document.getElementById("queue-row"), now.queues, (one) => ({
    queue: one.queue, depth: number(one.depth), oldest: one.depth ? duration(one.oldest_age_s) : "–",
  }));
  fillRows(document.querySelector("[data-rows=workers]"), document.getElementById("worker-row"), now.workers, (one, row) => {
    row.querySelector(".mark").classList.add(`mark-${TONES[one.status] ?? "plain"}`);
    return { worker: one.worker, status: one.status, role: one.role, model: one.model_version ?? "–", beat: duration(one.heartbeat_age_s) };
  });
  showFaults();
});
