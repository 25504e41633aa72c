// The models: draws the curves, asks for a change once it is confirmed, and shows what each worker answers.
import { confirmed } from "./asking.js";
import { read } from "./live.js";
import { Plot, decades } from "./plot.js";
import { fillRows } from "./rows.js";
import { send } from "./send.js";

const ASK_AGAIN_MS = 500;
const LOOKS = 40;
const TONES = { serving: "good", ready: "good", loading: "warn", refused: "bad", timeout: "bad" };

const answers = document.getElementById("answers");
const part = (name) => answers.querySelector(`[data-answer="${name}"]`);

function tell(title, state, detail = "", tone = "accent") {
  answers.hidden = false;
  part("title").textContent = title;
  part("state").textContent = state;
  part("detail").textContent = detail;
  part("mark").className = `mark mark-${tone}`;
}

function showWorkers(workers) {
  part("table").hidden = workers.length === 0;
  fillRows(answers.querySelector("[data-rows]"), document.getElementById("answer-row"), workers, (one, row) => {
    row.querySelector(".mark").classList.add(`mark-${TONES[one.status] ?? "plain"}`);
    return { worker: one.worker, status: one.status, role: one.role, model: one.model_version ?? "–", digest: (one.digest ?? "–").slice(0, 12), detail: one.detail || one.challenger || "–" };
  });
}

const ACTIONS = {
  reload: {
    ask: { title: "Reload the champion?", text: "Every scoring worker loads the champion and the policy file again, verifies them aside and swaps between batches. No payment waits.", verb: "Reload" },
    run: async () => {
      const { workers, agreed } = await send("/console/models/reload");
      showWorkers(workers);
      tell("Reload", agreed ? "all agreed" : "not all agreed", `${workers.length} workers answered.`, agreed ? "good" : "bad");
    },
  },
  rollback: {
    ask: { title: "Roll back?", text: "The model that the champion replaced decides again.", verb: "Roll back", tone: "bad" },
    run: async () => settle("Rollback", await send("/console/models/rollback")),
  },
  retrain: {
    ask: { title: "Train a challenger?", text: "The training worker learns from the ledger, and the gate judges what comes of it. It takes a minute or more; scoring goes on.", verb: "Train" },
    run: async () => settle("Training", await send("/console/models/retrain")),
  },
  shadow: {
    ask: { title: "Let it score beside the champion?", text: "Every payment is scored by both; the champion decides. Workers load it within seconds.", verb: "Shadow" },
    run: async ({ model }) => settle("Shadow", await send(`/console/models/${encodeURIComponent(model)}/shadow`)),
  },
  canary: {
    ask: { title: "Let it decide 5% of the traffic?", text: "The same accounts always; the guard undoes it when a guardrail breaks.", verb: "Canary" },
    run: async ({ model }) => settle("Canary", await send(`/console/models/${encodeURIComponent(model)}/canary`)),
  },
  end: {
    ask: { title: "End it?", text: "The champion decides everything again, and nothing scores beside it.", verb: "End" },
    run: async () => settle("End", await send("/console/models/challenger/end")),
  },
  promote: {
    ask: { title: "Promote it?", text: "The gate compares it with the champion on the newest matured labels; it decides only if the gate says so.", verb: "Promote", option: "Overrule the gate (it is recorded)" },
    run: async ({ model, isChosen }) => settle("Promotion", await send(`/console/models/${encodeURIComponent(model)}/promote?force=${isChosen}`)),
  },
};

// A job is followed to its end; what changed the champion is followed until every worker serves it.
async function settle(title, asked) {
  let job = asked;
  while (!["done", "refused", "failed"].includes(job.status)) {
    tell(title, job.status, job.step || job.detail || "");
    await pause();
    job = await read(`/models/jobs/${encodeURIComponent(job.job_id)}`).catch(() => job);
  }
  const isDone = job.status === "done";
  tell(title, isDone ? (job.outcome ?? "done").replaceAll("_", " ") : job.status, job.detail, isDone ? "good" : "bad");
  if (isDone) await showSwap(job);
}

async function showSwap(job) {
  for (let look = 0; look < LOOKS; look += 1) {
    const { workers, model_version: champion } = await health();
    const serving = workers.filter((one) => one.model_version);
    showWorkers(serving);
    if (serving.length && serving.every((one) => one.status === "serving" && one.model_version === champion) && isThere(job, serving, champion)) break;
    await pause();
  }
  part("detail").textContent += " Load the page again to see the new state.";
}

// A promotion is there when its model decides, a shadow when every worker has it loaded.
function isThere({ kind, model_version: version, outcome }, workers, champion) {
  if (kind === "promote" && outcome !== "canary") return champion === version;
  if (kind === "shadow" || kind === "canary") return workers.every((one) => one.challenger.startsWith(version));
  return true;
}

// GET /health says who serves what, also while it is 503.
async function health() {
  const answer = await fetch("/health", { headers: { Accept: "application/json" } });
  return answer.json();
}

const pause = () => new Promise((go) => setTimeout(go, ASK_AGAIN_MS));

for (const button of document.querySelectorAll("[data-ask]")) {
  button.addEventListener("click", async () => {
    const { ask, run } = ACTIONS[button.dataset.ask];
    const { model } = button.dataset;
    const answer = await confirmed(model ? { ...ask, text: `${model}: ${ask.text}` } : ask);
    if (!answer) return;
    button.disabled = true;
    showWorkers([]);
    tell(ask.title.replace("?", ""), "asked");
    answers.scrollIntoView({ block: "nearest" });
    answers.focus({ preventScroll: true });
    await run({ model, ...answer }).catch((refused) => tell(ask.title.replace("?", ""), "refused", refused.message, "bad"));
    button.disabled = false;
  });
}

const running = document.querySelector('[data-training="queued"], [data-training="running"]');
if (running) {
  const follow = async () => {
    const { status, latest } = await read("/retrain").catch(() => ({ status: "running" }));
    if (status === "idle") return location.reload();
    if (latest?.step) running.querySelector("[data-step]").textContent = latest.step;
    setTimeout(follow, 4 * ASK_AGAIN_MS);
  };
  follow();
}

const share = { write: (value) => String(Number(value.toFixed(2))), range: () => [0, 1.02] };
const COLOURS = ["chart-1", "chart-2"];

function drawCurves(models) {
  const series = models.map((one, n) => ({ name: one.name, colour: COLOURS[n], write: (value) => value.toFixed(3) }));
  draw("pr", models.map(({ ranking: one }) => [one.recall, one.precision]), { x: share, y: share, series });
  draw("roc", models.map(({ ranking: one }) => [one.false_positive_rate, one.recall]), { x: share, y: share, series });
  drawCalibration(models, series);
}

// Bins without a fraud have no place on a scale of decades.
function drawCalibration(models, series) {
  const pairs = models.map(({ calibration: one }) => {
    const kept = one.predicted.map((_, n) => n).filter((n) => one.observed[n] > 0 && one.predicted[n] > 0);
    return [kept.map((n) => one.predicted[n]), kept.map((n) => one.observed[n])];
  });
  const lowest = Math.min(0.1, ...pairs.flat(2));
  const bounds = () => [Math.log10(lowest) - 0.1, 0.05];
  const axis = { ...decades, ticks: [0.00001, 0.0001, 0.001, 0.01, 0.1, 1], write: (value) => String(Number(value.toPrecision(1))), range: bounds };
  const perfect = { name: "", colour: "ink-3", dash: [4, 4], width: 1, only: "line", write: axis.write };
  draw("calibration", [...pairs, [[lowest, 1], [lowest, 1]]], { x: axis, y: axis, series: [...series, perfect] });
}

function draw(id, pairs, options) {
  // Each model has points of its own along x.
  const series = options.series.map((one) => ({ ...one, spanGaps: true }));
  new Plot(document.getElementById(id), { ...options, series }).set(window.uPlot.join(pairs));
}

const place = document.querySelector("[data-curves]");
if (place) drawCurves(JSON.parse(place.dataset.curves));
