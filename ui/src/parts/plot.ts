// The canvas part of a chart, in a piece of its own: pages without charts need not load the library.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { ChartData } from "../lib/types";

export interface Options {
  chart: ChartData;
  height: number; // CSS pixels
  inks: string[]; // names of colours, one per series
  time: boolean; // labels are times
  onmove: (index: number | null) => void;
}

// ink resolves a colour of the style sheet for the canvas.
function ink(at: HTMLElement, name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  at.append(probe);
  const c = getComputedStyle(probe).color;
  probe.remove();
  return c;
}

function short(v: number): string {
  for (const [at, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) if (Math.abs(v) >= at) return `${Number((v / at).toPrecision(3))}${unit}`;
  return String(Number(v.toPrecision(3)));
}

// draw puts the chart into the box and keeps its width; the returned function takes it out.
export function draw(box: HTMLElement, o: Options): () => void {
  const { chart } = o;
  const soft = ink(box, "--soft");
  const line = ink(box, "--line");
  const font = `11px ${getComputedStyle(box).fontFamily}`;
  const x = chart.labels.map((_, i) => i);
  const stacked = chart.kind === "stacked";
  const ys = stacked ? stack(chart) : chart.series.map((s) => s.values);
  const bars = chart.kind !== "lines";
  const order = chart.series.map((_, i) => i);
  if (stacked) order.reverse(); // the sum is painted first, its parts over it
  const n = chart.series.length;
  const plot = new uPlot(
    {
      width: Math.max(box.clientWidth, 100),
      height: o.height,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: !bars } },
      padding: [8, 4, 0, 0],
      scales: { x: { time: false, range: (_, lo, hi) => [lo - 0.6, hi + 0.6] }, y: { range: (_, __, hi) => [0, hi > 0 ? hi * 1.06 : 1] } },
      axes: [
        {
          stroke: soft, font, grid: { show: false }, ticks: { show: false }, size: 26, space: Math.max(48, 16 + 6.2 * Math.max(0, ...chart.labels.map((l) => cut(l).length))),
          incrs: [1, 2, 3, 4, 6, 12, 24, 48, 96, 168, 336],
          values: (_, at) => at.map((i) => (Number.isInteger(i) ? cut(chart.labels[i] ?? "") : "")),
        },
        { stroke: soft, font, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 42, space: 36, values: (_, at) => at.map(short) },
      ],
      series: [
        {},
        ...order.map((i) => {
          const c = ink(box, o.inks[i % o.inks.length] ?? "--c0");
          const s: uPlot.Series = { stroke: c, width: bars ? 0 : 1.75, points: { show: false } };
          if (bars) {
            s.fill = c;
            const paths = stacked || n === 1 ? uPlot.paths.bars?.({ size: [0.82, 40] }) : uPlot.paths.bars?.({ size: [0.8 / n, 40], align: 1 });
            if (paths) s.paths = paths;
          }
          return s;
        }),
      ],
      hooks: { setCursor: [(u) => o.onmove(u.cursor.idx ?? null)] },
    },
    [x, ...order.map((i) => ys[i] ?? [])] as uPlot.AlignedData,
    box,
  );
  const watch = new ResizeObserver(() => {
    if (box.clientWidth > 0 && box.clientWidth !== plot.width) plot.setSize({ width: box.clientWidth, height: o.height });
  });
  watch.observe(box);
  return () => {
    watch.disconnect();
    plot.destroy();
  };
}

function stack(chart: ChartData): number[][] {
  const sum = chart.labels.map(() => 0);
  return chart.series.map((s) => s.values.map((v, i) => (sum[i] = (sum[i] ?? 0) + v)));
}

const cut = (s: string): string => (s.length > 16 ? s.slice(0, 15) + "…" : s);
