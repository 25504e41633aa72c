// The overview: asks /console/live every two seconds, keeps five minutes of curves.
import { TimeChart } from "./chart.js";
import { keepLive } from "./live.js";
import { fillEmpty, fillRows } from "./rows.js";
import { ago, duration, milliseconds, number, percent, rate } from "./words.js";
import { showWrong } from "./wrong.js";

const EVERY_MS = 2000;
const KEPT_SLOTS = 150;
const LATE_S = 10;
const TONES = { serving: "good", ready: "good", silent: "bad", loading: "warn", refused: "bad", starting: "warn" };

const at = (id) => document.getElementById(id);
const traffic = new TimeChart(at("traffic"), {
  write: rate,
  series: [{ name: "answered", colour: "chart-1", write: rate, fill: true }],
});
const latency = new TimeChart(at("latency"), {
  write: milliseconds,
  series: [
    { name: "median", colour: "chart-2", write: milliseconds },
    { name: "99th percentile", colour: "chart-1", write: milliseconds },
  ],
});
const actions = new TimeChart(at("actions"), {
  write: rate,
  series: [
    { name: "decline", colour: "chart-bad", write: rate, fill: true },
    { name: "review", colour: "chart-warn", write: rate, fill: true, stack: true },
    { name: "approve", colour: "chart-good", write: rate, fill: true, stack: true },
  ],
});

const curves = {};
let newest = 0;

// Slots that were known already come again: decisions reach the ledger, and so the slots, a little later.
function keep(found) {
  const known = (curves.at_s ?? []).filter((at_s) => at_s < (found.at_s[0] ?? Infinity)).length;
  for (const [name, values] of Object.entries(found)) {
    curves[name] = [...(curves[name] ?? []).slice(0, known), ...values].slice(-KEPT_SLOTS);
  }
  newest = curves.at_s.at(-1) ?? newest;
}

function say(name, text) {
  for (const place of document.querySelectorAll(`[data-value="${name}"]`)) place.textContent = text;
}

function whatIsMissing(place, { is_broker_up: isUp }) {
  place.dataset.quiet ??= place.dataset.none;
  return isUp ? place.dataset.quiet : "Not known: the broker does not answer";
}

function warn(name, isBad) {
  document.querySelector(`[data-tile="${name}"]`).classList.toggle("tile-bad", isBad);
}

function showTiles({ now, inbox, dead_letters: dead, journal, model_version: model }) {
  say("requests", rate(now.requests_per_s));
  say("p50", milliseconds(now.p50_ms));
  say("p99", milliseconds(now.p99_ms));
  say("decline", percent(now.decline_share));
  say("review", percent(now.review_share));
  say("refused", number(now.refused));
  say("inbox", number(inbox));
  say("dead", number(dead));
  say("journal", number(journal));
  if (model) say("model", model);
  warn("refused", now.refused > 0);
  warn("dead", dead > 0);
}

function showTables({ queues, workers, is_broker_up: isUp }) {
  const [queueRows, workerRows] = document.querySelectorAll("[data-rows]");
  const none = isUp ? "No worker has reported within the hour." : "The broker does not answer.";
  fillRows(queueRows, at("queue-row"), queues, (one) => ({
    queue: one.queue, depth: number(one.depth), oldest: one.depth ? duration(one.oldest_age_s) : "–",
  }));
  if (!queues.length) fillEmpty(queueRows, 3, "The broker does not answer.");
  fillRows(workerRows, at("worker-row"), workers, (one, row) => {
    row.querySelector(".mark").classList.add(`mark-${TONES[one.status] ?? "plain"}`);
    return {
      worker: one.worker, status: one.status, role: one.role, model: one.model_version ?? "–",
      beat: duration(one.heartbeat_age_s), loaded: one.loaded_at ? ago(new Date(one.loaded_at)) : "–",
    };
  });
  if (!workers.length) fillEmpty(workerRows, 6, none);
}

keepLive(() => `/console/live?since=${Math.max(0, newest - LATE_S)}`, EVERY_MS, (overview) => {
  keep(overview.curves);
  showWrong(overview);
  showTiles(overview);
  for (const chart of [traffic, latency, actions]) chart.place.dataset.none = whatIsMissing(chart.place, overview);
  showTables(overview);
  traffic.set([curves.at_s, curves.requests_per_s]);
  latency.set([curves.at_s, curves.p50_ms, curves.p99_ms]);
  actions.set([curves.at_s, curves.decline_per_s, curves.review_per_s, curves.approve_per_s]);
});
