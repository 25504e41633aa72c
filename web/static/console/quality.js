// Live quality over time: what is known with its band, the estimate, the promise; provisional days are shaded.
import { Plot } from "./plot.js";
import { number, percent } from "./words.js";

const DAY_S = 86_400;

const place = document.querySelector("[data-cohorts]");
const day = (seconds) => new Date(1000 * seconds).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

function draw(measure, { at_s: at, provisional_from_s: youngFrom, measures }) {
  const { value, low, high, estimate, promised } = measures[measure];
  const write = measure === "cost" ? (figure) => number(figure, 2) : (figure) => percent(figure, measure === "fraud_rate" ? 2 : 0);
  const line = (name, colour, more = {}) => ({ name, colour, write, ...more });
  const series = [
    line("known", "chart-1"), line("", "chart-1", { width: 0 }), line("", "chart-1", { width: 0 }),
    line("estimate", "chart-2", { dash: [5, 4] }), line("promise", "chart-good", { dash: [2, 4] }),
  ];
  const step = at.length > 1 ? at.at(-1) - at.at(-2) : DAY_S;
  const regions = youngFrom == null ? [] : [{ from: youngFrom - step / 2, to: at.at(-1) + step, colour: "chart-warn" }];
  const plot = new Plot(document.getElementById(measure), {
    x: { write: day, range: (_, first, last) => [first - step / 2, last + step / 2] },
    y: { write, range: measure === "cost" ? undefined : upTo(measure) }, series, bands: [{ high: 3, low: 2, colour: "chart-1" }],
  });
  const newest = value.findLastIndex((figure) => figure != null);
  const says = newest < 0 ? "" : `${day(at[newest])}: ${write(value[newest])}, 95% interval ${write(low[newest])} to ${write(high[newest])}; the table has every line`;
  plot.set([at, value, low, high, estimate, promised], { regions, says });
}

// A rare share has a scale of its own; the others are from 0 to 1.
const upTo = (measure) => (measure === "fraud_rate" ? (_, _low, high) => [0, 1.1 * (high || 0.01)] : () => [0, 1.02]);

if (place) {
  const curves = JSON.parse(place.dataset.cohorts);
  for (const measure of Object.keys(curves.measures)) draw(measure, curves);
}
