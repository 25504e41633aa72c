// Charts over time with the library in ../vendor/uplot, in the page's colours, light or dark, as wide as their place.
// `series`: {name, colour (a token without its dashes), write (value -> text), fill (an area), stack (on the one before)}.
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

export function colour(token) {
  probe.style.color = `var(--${token})`;
  return getComputedStyle(probe).color;
}

export const faint = (rgb, share) => rgb.replace(/^rgba?\(([^,]+),([^,]+),([^,)]+).*\)$/, `rgba($1,$2,$3,${share})`);

export class TimeChart {
  constructor(place, { series, write, height = 184 }) {
    this.place = place;
    this.series = series;
    this.write = write;
    this.height = height;
    this.data = [[], ...series.map(() => [])];
    this.draw();
    new ResizeObserver(() => this.chart.setSize({ width: this.width(), height })).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // columns: Unix seconds, then the values of each series; null is a gap.
  set(columns) {
    this.data = columns;
    this.chart.setData(this.stacked());
    this.describe();
  }

  width() {
    return Math.max(160, this.place.clientWidth);
  }

  stacked() {
    const shown = [this.data[0]];
    this.series.forEach((one, n) => {
      const below = one.stack ? shown[n] : null;
      shown.push(below ? this.data[n + 1].map((value, i) => (value ?? 0) + (below[i] ?? 0)) : this.data[n + 1]);
    });
    return shown;
  }

  draw() {
    this.chart?.destroy();
    const axis = {
      stroke: colour("ink-3"), font: "11px system-ui, sans-serif", ticks: { show: false },
      grid: { stroke: colour("grid"), width: 1 },
    };
    const options = {
      width: this.width(), height: this.height, padding: [8, 24, 0, 0], legend: { show: false },
      cursor: { y: false, points: { size: 6 } },
      scales: { x: { time: true }, y: { range: (_, low, high) => [0, high > 0 ? 1.12 * high : 1] } },
      axes: [
        { ...axis, space: 70, size: 24, gap: 4, grid: { show: false }, values: (_, times) => times.map(clock) },
        { ...axis, size: 52, space: 34, values: (_, values) => values.map((value) => this.write(value)) },
      ],
      series: [{}, ...this.series.map((one) => this.line(one))],
      bands: this.series.flatMap((one, n) => (one.stack ? [{ series: [n + 1, n] }] : [])),
      hooks: { setCursor: [(chart) => this.read(chart.cursor.idx)] },
    };
    this.chart = new window.uPlot(options, this.stacked(), this.place);
    this.describe();
  }

  line(one) {
    const stroke = colour(one.colour);
    return { label: one.name, stroke, width: 1.75, fill: one.fill ? faint(stroke, one.stack ? 0.25 : 0.12) : undefined, points: { show: true, size: 4, fill: stroke, filter: lonely } };
  }

  // The value under the cursor, or the newest one, goes beside the name in the legend.
  read(index) {
    const at = index ?? this.newest();
    this.series.forEach((one, n) => {
      const place = document.querySelector(`[data-legend="${this.place.id}"] [data-series="${n}"]`);
      if (place) place.textContent = at < 0 ? "–" : one.write(this.data[n + 1][at]);
    });
  }

  newest() {
    return this.data[0].length - 1;
  }

  describe() {
    this.read(null);
    const at = this.newest();
    const isEmpty = this.data.slice(1).every((values) => values.every((value) => !value));
    if (isEmpty) this.place.dataset.empty = this.place.dataset.none;
    else delete this.place.dataset.empty;
    const values = this.series.map((one, n) => `${one.name} ${at < 0 ? "unknown" : one.write(this.data[n + 1][at])}`);
    this.place.setAttribute("role", "img");
    this.place.setAttribute("aria-label", `${this.place.dataset.title}: now ${values.join(", ")}`);
  }
}

// A value without neighbours is no line: it is shown as a point.
function lonely(chart, series) {
  const values = chart.data[series];
  return values.flatMap((value, n) => (value != null && values[n - 1] == null && values[n + 1] == null ? [n] : []));
}

function clock(seconds) {
  return new Date(1000 * seconds).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
