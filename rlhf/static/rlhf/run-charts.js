// <run-charts>: draws each [data-part=chart] inside it with uPlot, from the page's points and from each "live" event.
// Without it the figures show a plain line, their caption and a table. Times, words and tables are the server's.

import { aligned, figure, smoothed, tick } from "./series.js";

/** @typedef {import("./series.js").Point} Point */

const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [1, 4], [10, 4]];
const RAW = 0.35;

class RunCharts extends HTMLElement {
  connectedCallback() {
    this.points = JSON.parse(this.querySelector("script[type='application/json']").textContent).points;
    this.known = new Set(Object.keys(this.points));
    this.charts = [];
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.draw();
    this.take = (event) => this.add(event.detail);
    this.dark.addEventListener("change", this.redraw);
    document.addEventListener("run-state", this.take);
    this.addEventListener("input", this.redraw);
    this.sizes = new ResizeObserver((entries) => entries.forEach((entry) => this.fit(entry.target)));
    this.draw();
  }

  disconnectedCallback() {
    this.dark.removeEventListener("change", this.redraw);
    document.removeEventListener("run-state", this.take);
    this.sizes.disconnect();
    this.charts.forEach((chart) => chart.plot?.destroy());
  }

  /** @param {{reset: boolean, points: Record<string, Point[]>, samples: object[]}} state */
  add(state) {
    if (state.reset) this.points = {};
    for (const [key, points] of Object.entries(state.points)) {
      this.points[key] = (this.points[key] ?? []).concat(points);
    }
    const unknown = Object.keys(state.points).filter((key) => !this.known.has(key));
    unknown.forEach((key) => this.known.add(key));
    if (unknown.length) this.refresh("others").then(() => this.draw());
    if (state.samples.length) this.refresh("samples");
    if (Object.keys(state.points).length || state.reset) this.draw();
  }

  /** Has a part of the page written anew by the server. */
  async refresh(part) {
    await document.querySelector("live-poll")?.refresh(part);
  }

  get weight() {
    return Number(this.querySelector("[name=smoothing]")?.value ?? 0);
  }

  draw() {
    const output = this.querySelector("[data-part=smoothing]");
    if (output) output.textContent = this.weight.toFixed(2);
    this.charts.forEach((chart) => chart.plot?.destroy());
    this.charts = [...this.querySelectorAll("[data-part=chart]")].map((element) => this.drawn(element));
  }

  drawn(element) {
    const series = JSON.parse(element.dataset.series).map((key) => this.points[key] ?? []);
    const [steps, raw] = aligned(series);
    const chart = { element, steps, raw, plot: null };
    this.tell(chart, steps.length - 1);
    if (!steps.length) return chart;
    const place = element.querySelector("[data-part=plot]");
    place.replaceChildren();
    chart.plot = new globalThis.uPlot(this.options(chart, place), this.data(chart), place);
    this.sizes.observe(place);
    this.caption(element, series);
    return chart;
  }

  data(chart) {
    const lines = chart.raw.flatMap((values) => [values, smoothed(values, this.weight)]);
    return [chart.steps, ...lines];
  }

  options(chart, place) {
    const log = this.querySelector("[name=log]")?.checked && chart.raw.flat().every((value) => !(value <= 0));
    const muted = this.color("--muted");
    const axis = {
      stroke: muted,
      font: `13px ${getComputedStyle(this).fontFamily}`,
      grid: { stroke: this.color("--line"), width: 1 },
      ticks: { show: false },
    };
    const lines = chart.raw.flatMap((_, index) => {
      const stroke = this.color(`--series-${(index % 6) + 1}`);
      const dash = DASHES[index % 6];
      const same = { stroke, dash, spanGaps: false };
      const single = chart.steps.length === 1;
      return [
        { ...same, alpha: RAW, width: 1, points: { show: false } },
        { ...same, width: 2, points: { show: single, size: 8, fill: stroke } },
      ];
    });
    return {
      width: place.clientWidth,
      height: place.clientHeight,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: "run" }, y: false, drag: { setScale: false }, points: { size: 7 } },
      scales: { x: { time: false }, y: { distr: log ? 3 : 1 } },
      axes: [{ ...axis, size: 24, gap: 4 }, { ...axis, size: 56, gap: 6, values: (_, ticks) => ticks.map(tick) }],
      series: [{}, ...lines],
      hooks: {
        setCursor: [(plot) => this.tell(chart, plot.cursor.idx ?? chart.steps.length - 1)],
        draw: [(plot) => this.cross(plot, chart)],
      },
    };
  }

  /** Marks where a value was not finite: a cross on the ground of the chart. */
  cross(plot, chart) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = this.color("--bad");
    ctx.lineWidth = devicePixelRatio * 2;
    const arm = 4 * devicePixelRatio;
    const y = bbox.top + bbox.height - 2 * arm;
    chart.raw.forEach((values) =>
      values.forEach((value, index) => {
        if (value !== null) return;
        const x = plot.valToPos(chart.steps[index], "x", true);
        ctx.beginPath();
        ctx.moveTo(x - arm, y - arm);
        ctx.lineTo(x + arm, y + arm);
        ctx.moveTo(x + arm, y - arm);
        ctx.lineTo(x - arm, y + arm);
        ctx.stroke();
      }),
    );
    ctx.restore();
  }

  /** The legend's numbers at one step: what is drawn there. */
  tell(chart, index) {
    chart.element.querySelectorAll("[data-part=value]").forEach((cell, place) => {
      const values = chart.raw[place] ?? [];
      cell.textContent = figure(smoothed(values, this.weight)[index]);
      cell.parentElement.hidden = !values.length;
    });
  }

  caption(element, series) {
    element.querySelectorAll("[data-part=caption]").forEach((line, place) => {
      const finite = (series[place] ?? []).filter((point) => point[1] !== null);
      line.hidden = !finite.length;
      if (!finite.length) return;
      const by = (better) => finite.reduce((best, point) => (better(point[1], best[1]) ? point : best));
      const [least, greatest] = [by((a, b) => a < b), by((a, b) => a > b)];
      const found = { last: finite.at(-1)[1], least: least[1], greatest: greatest[1] };
      const steps = { "least-at": least[0], "greatest-at": greatest[0] };
      for (const [name, value] of Object.entries(found)) this.write(line, name, figure(value));
      for (const [name, step] of Object.entries(steps)) this.write(line, name, step.toLocaleString("en"));
    });
  }

  write(line, name, text) {
    const part = line.querySelector(`[data-part=${name}]`);
    if (part) part.textContent = text;
  }

  fit(place) {
    const chart = this.charts.find((one) => one.plot && place.contains(one.plot.root));
    const { clientWidth: width, clientHeight: height } = place;
    if (chart && width && (chart.plot.width !== width || chart.plot.height !== height)) {
      chart.plot.setSize({ width, height });
    }
  }

  /** A variable's colour as the canvas takes it: light-dark() resolved. */
  color(name) {
    this.style.setProperty("--probe", `var(${name})`);
    this.probe ??= this.appendChild(document.createElement("i"));
    this.probe.hidden = true;
    this.probe.style.setProperty("color", "var(--probe)");
    return getComputedStyle(this.probe).color;
  }
}

customElements.define("run-charts", RunCharts);
