// Live quality over time: what is known with its band, the estimate, the promise; provisional days are shaded.
import { Plot } from "./plot.js";
import { number, percent } from "./words.js";

const DAY_S = 86_400;

const place = document.querySelector("[data-cohorts]");
const day = (seconds) => new Date(1000 * seconds).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

function draw(measure, found) {
  const { provisional_from_s: youngFrom, measures } = found;
  const { step, filled } = withoutGaps(found);
  const { at, value, low, high, estimate, promised } = filled(measures[measure]);
  const write = measure === "cost" ? (figure) => number(figure, 2) : (figure) => percent(figure, measure === "fraud_rate" ? 1 : 0);
  const line = (name, colour, more = {}) => ({ name, colour, write, ...more });
  const series = [
    line("known", "chart-1"), line("", "chart-1", { width: 0 }), line("", "chart-1", { width: 0 }),
    line("estimate", "chart-2", { dash: [5, 4] }), line("promise", "chart-good", { dash: [2, 4] }),
  ];
  const regions = youngFrom == null ? [] : [{ from: youngFrom - step / 2, to: at.at(-1) + step, colour: "chart-warn" }];
  const plot = new Plot(document.getElementById(measure), {
    x: { write: day, range: (_, first, last) => [first - step / 2, last + step / 2] },
    y: { write, range: measure === "cost" ? undefined : upTo(measure) }, series, bands: [{ high: 3, low: 2, colour: "chart-1" }],
  });
  const newest = value.findLastIndex((figure) => figure != null);
  const says = newest < 0 ? "" : `${day(at[newest])}: ${write(value[newest])}, 95% interval ${write(low[newest])} to ${write(high[newest])}; the table has every line`;
  plot.set([at, value, low, high, estimate, promised], { regions, says });
}

// Days without a payment are gaps, not lines across them.
function withoutGaps({ at_s: known }) {
  const step = Math.min(7 * DAY_S, ...known.slice(1).map((at, n) => at - known[n]));
  const at = Array.from({ length: Math.round((known.at(-1) - known[0]) / step) + 1 }, (_, n) => known[0] + n * step);
  const places = new Map(known.map((moment, n) => [moment, n]));
  const spread = (values) => at.map((moment) => values[places.get(moment)] ?? null);
  return { step, filled: (columns) => ({ at, ...Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, spread(values)])) }) };
}

// A rare share has a scale of its own; the others are from 0 to 1.
const upTo = (measure) => (measure === "fraud_rate" ? (_, _low, high) => [0, 1.1 * (high || 0.01)] : () => [0, 1.02]);

if (place) {
  const curves = JSON.parse(place.dataset.cohorts);
  for (const measure of Object.keys(curves.measures)) draw(measure, curves);
}
