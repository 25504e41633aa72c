// Charts over anything that can be ordered: a day, a score, a recall. chart.js has those that move with the clock.
// `x`, `y`: {write (value -> text), to and from (a scale of its own: logit, decades), ticks (values), range, time}.
// `series`: {name, colour, write, dash, width, only ("line": lonely values are no points)}; `bands`: {high, low (numbers of series), colour}.
import { colour, faint } from "./chart.js";

const same = (value) => value;

export class Plot {
  constructor(place, { x, y, series, bands = [], height = 208 }) {
    Object.assign(this, { place, x, y, series, bands, height, columns: [[], ...series.map(() => [])], regions: [], marks: [] });
    this.draw();
    new ResizeObserver(() => this.chart.setSize({ width: this.width(), height })).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // columns: the values of x in order, then those of each series; null is a gap. regions: {from, to, colour} along x.
  // marks: {at, colour, dash} along x.
  set(columns, { regions = [], marks = [], says = "" } = {}) {
    Object.assign(this, { columns, regions, marks, says });
    this.chart.setData(this.scaled());
    this.describe();
  }

  width() {
    return Math.max(160, this.place.clientWidth);
  }

  scaled() {
    const [x, y] = [this.x.to ?? same, this.y.to ?? same];
    return [this.columns[0].map(x), ...this.columns.slice(1).map((values) => values.map((value) => (value == null ? null : y(value))))];
  }

  draw() {
    this.chart?.destroy();
    const look = { stroke: colour("ink-3"), font: "11px system-ui, sans-serif", ticks: { show: false }, grid: { stroke: colour("grid"), width: 1 } };
    this.chart = new window.uPlot({
      width: this.width(), height: this.height, padding: [8, 10, 0, 0], legend: { show: false },
      cursor: { y: false, points: { size: 6 } },
      scales: { x: { time: false, range: this.x.range }, y: { range: this.y.range ?? spaced } },
      axes: [
        { ...look, size: 24, gap: 4, space: 56, grid: { show: false }, ...this.axis(this.x, "x") },
        { ...look, size: 54, space: 34, ...this.axis(this.y, "y") },
      ],
      series: [{}, ...this.series.map((one) => this.line(one))],
      bands: this.bands.map((one) => ({ series: [one.high, one.low], fill: faint(colour(one.colour), 0.16) })),
      hooks: {
        drawClear: [(chart) => this.shade(chart)],
        draw: [(chart) => this.mark(chart)],
        setCursor: [(chart) => this.read(chart.cursor.idx)],
      },
    }, this.scaled(), this.place);
    this.describe();
  }

  axis({ write, ticks, to = same, from = same }, scale) {
    const within = (chart) => ticks.map(to).filter((at) => at >= chart.scales[scale].min && at <= chart.scales[scale].max);
    return { values: (_, values) => values.map((value) => write(from(value))), ...(ticks && { splits: within }) };
  }

  line({ colour: token, name, dash, width = 1.75, only, spanGaps = false }) {
    const stroke = colour(token);
    const points = width && only !== "line" ? { show: true, size: 5, fill: stroke, filter: lonely } : { show: false };
    return { label: name, stroke, dash, width, spanGaps, points };
  }

  shade({ ctx, bbox, valToPos, scales }) {
    const to = this.x.to ?? same;
    for (const { from, to: until, colour: token } of this.regions) {
      if (scales.x.min == null) return;
      const [left, right] = [from, until].map((at) => valToPos(Math.min(Math.max(to(at), scales.x.min), scales.x.max), "x", true));
      ctx.save();
      ctx.fillStyle = faint(colour(token), 0.14);
      ctx.fillRect(left, bbox.top, Math.max(right - left, 1), bbox.height);
      ctx.restore();
    }
  }

  mark({ ctx, bbox, valToPos, scales }) {
    const to = this.x.to ?? same;
    for (const { at, colour: token, dash = [] } of this.marks) {
      if (!(to(at) >= scales.x.min && to(at) <= scales.x.max)) continue;
      const place = valToPos(to(at), "x", true);
      ctx.save();
      ctx.strokeStyle = colour(token);
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
      ctx.beginPath();
      ctx.moveTo(place, bbox.top);
      ctx.lineTo(place, bbox.top + bbox.height);
      ctx.stroke();
      ctx.restore();
    }
  }

  // The values under the cursor go beside the names in the legend.
  read(index) {
    const shown = this.series.filter((one) => one.name);
    shown.forEach((one, n) => {
      const place = document.querySelector(`[data-legend="${this.place.id}"] [data-series="${n}"]`);
      const value = index == null ? null : this.columns[this.series.indexOf(one) + 1][index];
      if (place) place.textContent = value == null ? "" : one.write(value);
    });
  }

  describe() {
    const isEmpty = this.columns.slice(1).every((values) => values.every((value) => value == null));
    if (isEmpty) this.place.dataset.empty = this.place.dataset.none;
    else delete this.place.dataset.empty;
    this.place.setAttribute("role", "img");
    this.place.setAttribute("aria-label", `${this.place.dataset.title}: ${isEmpty ? this.place.dataset.none : this.says || this.ends()}`);
  }

  ends() {
    const [first, last] = [this.columns[0].at(0), this.columns[0].at(-1)];
    const named = this.series.filter((one) => one.name);
    const texts = named.map((one) => {
      const known = this.columns[this.series.indexOf(one) + 1].filter((value) => value != null);
      return known.length ? `${one.name} from ${one.write(known.at(0))} to ${one.write(known.at(-1))}` : `${one.name} unknown`;
    });
    return `from ${this.x.write(first)} to ${this.x.write(last)}: ${texts.join(", ")}`;
  }
}

// A value without neighbours is no line: it is shown as a point.
function lonely(chart, series) {
  const values = chart.data[series];
  return values.flatMap((value, n) => (value != null && values[n - 1] == null && values[n + 1] == null ? [n] : []));
}

function spaced(_, low, high) {
  if (low == null) return [0, 1];
  const room = 0.08 * (high - low || Math.abs(high) || 1);
  return [low - room, high + room];
}

// Scores lie near 0 and near 1: the logit shows both ends.
export const logit = {
  to: (share) => Math.log(share / (1 - share)),
  from: (value) => 1 / (1 + Math.exp(-value)),
  ticks: [0.0001, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999],
  write: (share) => String(Number(share.toPrecision(2))),
};

// Decades, for what spans many.
export const decades = { to: Math.log10, from: (value) => 10 ** value };
