// The advisor: whenever a cost or the capacity changes, GET /thresholds is asked again and the answer shown.
import { read } from "./live.js";
import { Plot, decades, logit } from "./plot.js";
import { fillRows } from "./rows.js";
import { toast } from "./send.js";
import { number, percent } from "./words.js";

const WAIT_MS = 250;
const form = document.getElementById("dials");
const advice = document.getElementById("advice");
const at = (selector) => document.querySelector(selector);
const fields = [...form.querySelectorAll('input[type="number"]')];
const say = (name, text, note) => {
  at(`[data-value="${name}"]`).textContent = text;
  if (note !== undefined) at(`[data-note="${name}"]`).textContent = note;
};

const money = (value) => number(value, Math.abs(value) >= 1000 ? 0 : 2);
const score = (value, digits = 3) => String(Number(value.toPrecision(digits)));
const within = (figure, write) => (figure ? `${write(figure.value)} (${write(figure.low)} to ${write(figure.high)})` : "–");

const plain = { write: (value) => number(value, Number.isInteger(value) ? 0 : 1) };
const few = { ...decades, ticks: [0.01, 0.1, 1, 10, 100, 1000, 10_000, 100_000], write: (value) => String(Number(value.toPrecision(1))) };
const parts = { write: (value) => percent(value, 0), range: () => [0, 1.02] };
const plots = {
  "review-cost": one(plain, [{ name: "cost", colour: "chart-1", write: money }]),
  "decline-cost": one(plain, [{ name: "cost", colour: "chart-1", write: money }]),
  "review-found": one(parts, [{ name: "recall", colour: "chart-good", write: percent }, { name: "precision", colour: "chart-2", write: percent }]),
  "review-alerts": one(few, [{ name: "alerts", colour: "chart-warn", write: (value) => number(value, 1) }]),
};

function one(y, series) {
  return (id) => new Plot(document.getElementById(id), { x: logit, y, series });
}
const drawn = {};

function query() {
  const changed = fields.filter((field) => field.value !== "" && field.value !== field.dataset.own);
  return new URLSearchParams(changed.map((field) => [field.name, field.value]));
}

let asked = 0;

async function ask() {
  const mine = (asked += 1);
  if (!form.checkValidity()) return show("lost", "A number is out of bounds");
  advice.toggleAttribute("data-is-old", true);
  const given = query();
  try {
    const report = await read(`/thresholds?${given}`);
    if (mine !== asked) return;
    showReport(report, given);
    show("on", report.advice ? `Advice from ${number(report.days)} days` : "No advice yet");
  } catch (error) {
    if (mine === asked) show("lost", error.message);
  }
  if (mine === asked) advice.removeAttribute("data-is-old");
}

function show(state, text) {
  at("[data-asked]").dataset.asked = state;
  at("[data-asked-text]").textContent = text;
}

function showReport(report, given) {
  for (const part of document.querySelectorAll("[data-part]")) part.hidden = !report.advice;
  at("[data-none]").hidden = Boolean(report.advice);
  at("[data-why]").textContent = report.notes.join(". ");
  at("[data-json]").href = `/thresholds?${given}`;
  const notes = at("[data-notes]");
  notes.replaceChildren(...(report.advice ? report.notes : []).map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  if (report.advice) showAdvice(report, given);
}

function showAdvice(report, given) {
  const { best, current, saves_per_day: saves, checked_saves_per_day: checked, unlimited } = report.advice;
  say("pair", `${score(best.review, 2)} / ${score(best.decline, 2)}`);
  say("saves", saves ? money(saves.value) : "–", saves ? `${money(saves.low)} to ${money(saves.high)}${checked == null ? "" : `; ${money(checked)} on days not chosen by`}` : "nothing is in force to compare with");
  say("alerts", number(best.alerts_per_day.value, 1), `${number(best.reviews_per_day.value, 1)} reviews, ${number(best.review_hours_per_day, 1)} h`);
  say("recall", percent(best.recall?.value), `${percent(best.precision?.value)} of alerts are fraud`);
  at("[data-basis]").textContent = `${number(report.decisions)} decisions with ${number(report.frauds)} frauds, ${report.since} to ${report.until}`;
  showOptions({ current, best, unlimited });
  showCurves(report.advice);
  showCommands(best, given);
}

const LINES = [
  ["Review from", (one) => score(one.review)],
  ["Decline from", (one) => score(one.decline)],
  ["Cost", (one) => within(one.cost_per_day, money)],
  ["Alerts", (one) => within(one.alerts_per_day, (value) => number(value, 1))],
  ["Reviews", (one) => within(one.reviews_per_day, (value) => number(value, 1))],
  ["Declines", (one) => within(one.declines_per_day, (value) => number(value, 1))],
  ["Hours of review", (one) => number(one.review_hours_per_day, 1)],
  ["Precision of alerts", (one) => within(one.precision, (value) => percent(value, 0))],
  ["Recall", (one) => within(one.recall, (value) => percent(value, 0))],
];

function showOptions(options) {
  const table = at('[data-rows="options"]');
  fillRows(table, document.getElementById("option-row"), LINES, ([name, write]) => {
    const cells = Object.entries(options).map(([key, option]) => [key, option ? write(option) : "–"]);
    return { name, ...Object.fromEntries(cells) };
  });
  for (const cell of [at("[data-unlimited]"), ...table.querySelectorAll("[data-cell=unlimited]")]) cell.hidden = !options.unlimited;
}

function showCurves({ best, current, review_curve: review, decline_curve: decline }) {
  draw("review-cost", review, "review", ["cost_per_day"], { best, current });
  draw("decline-cost", decline, "decline", ["cost_per_day"], { best, current });
  draw("review-found", review, "review", ["recall", "precision"], { best, current });
  draw("review-alerts", review.filter((point) => point.alerts_per_day > 0), "review", ["alerts_per_day"], { best, current });
}

function draw(id, curve, axis, names, { best, current }) {
  drawn[id] ??= plots[id](id);
  const shown = curve.filter((point) => point.threshold > 0 && point.threshold < 1);
  const good = shown.filter((point) => point.is_as_good).map((point) => point.threshold);
  const regions = good.length > 1 ? [{ from: good.at(0), to: good.at(-1), colour: "chart-1" }] : [];
  const marks = [{ at: best[axis], colour: "accent" }, ...(current ? [{ at: current[axis], colour: "ink-3", dash: [3, 3] }] : [])];
  const columns = [shown.map((point) => point.threshold), ...names.map((name) => shown.map((point) => point[name]))];
  drawn[id].set(columns, { regions, marks, says: `advised ${score(best[axis])}${current ? `, in force ${score(current[axis])}` : ""}` });
}

const ARGUMENTS = { reviews_per_day: (value) => `--reviews-per-day ${value}`, days: (value) => `--days ${value}`, review_minutes: () => "" };

function showCommands(best, given) {
  const options = [...given].map(([name, value]) => (ARGUMENTS[name] ?? ((number) => `--cost ${name}=${number}`))(value)).filter(Boolean);
  at("[data-command]").textContent = ["tollgate thresholds", ...options, "--apply"].join(" ");
  at("[data-policy]").textContent = `[thresholds]\nreview = ${best.review}\ndecline = ${best.decline}`;
}

let timer = 0;
const later = () => {
  clearTimeout(timer);
  timer = setTimeout(ask, WAIT_MS);
};

for (const slider of form.querySelectorAll("[data-dial]")) {
  const field = form.elements[slider.dataset.dial];
  slider.addEventListener("input", () => {
    field.value = slider.value;
    later();
  });
  field.addEventListener("input", () => {
    if (field.value !== "") slider.value = field.value;
  });
}
form.addEventListener("input", later);
form.addEventListener("reset", later);
form.addEventListener("submit", (event) => event.preventDefault());
at("[data-copy]").addEventListener("click", async () => {
  await navigator.clipboard.writeText(at("[data-command]").textContent).then(
    () => toast("Copied."),
    () => toast("The browser does not let this page copy; mark the line instead.", "bad"),
  );
});
ask();
