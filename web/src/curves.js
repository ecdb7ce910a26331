// Long curves of kind "xy" with "zoom": uPlot, on a canvas. Drag to zoom, double click to see all; the legend shows the values
// under the pointer.
import uPlot from "uplot";
import { groupColour, known, numberText, resolved } from "./theme.js";

export function drawCurves(figure, panel, width, height) {
  const log = { x: figure.x.log === true, y: figure.y.log === true };
  const layers = panel.layers.filter((layer) => layer.mark === "line" || layer.mark === "step");
  const steps = [...new Set(layers.flatMap((layer) => layer.x))].filter((x) => known(x) && !(log.x && x <= 0)).sort((a, b) => a - b);
  const index = new Map(steps.map((x, i) => [x, i]));
  const data = [steps];
  const series = [{ label: panel.x ?? figure.x.label, value: (chart, value) => (known(value) ? numberText(value) : "") }];
  for (const layer of layers) {
    const column = new Array(steps.length).fill(undefined);
    layer.x.forEach((x, i) => {
      if (index.has(x)) column[index.get(x)] = known(layer.y[i]) && !(log.y && layer.y[i] <= 0) ? layer.y[i] : null;
    });
    data.push(column);
    series.push({
      label: layer.name || figure.y.label,
      stroke: resolved(groupColour(layer.group)),
      width: layer.thin ? 1 : 2,
      dash: layer.dashed ? [5, 4] : undefined,
      paths: layer.mark === "step" ? uPlot.paths.stepped({ align: 1 }) : undefined,
      points: { show: steps.length < 25 },
      spanGaps: true,
      value: (chart, value) => (known(value) ? numberText(value) : ""),
    });
  }
  const axis = (label, size) => ({ label, size, labelSize: 24, labelFont: "13px system-ui, sans-serif", font: "12px system-ui, sans-serif",
    values: (chart, ticks) => ticks.map((tick) => (tick === null ? "" : numberText(tick))),
    stroke: resolved("var(--soft)"), grid: { stroke: resolved("var(--grid)"), width: 1 }, ticks: { stroke: resolved("var(--grid)"), width: 1 } });
  const holder = document.createElement("div");
  const chart = new uPlot({
    width, height, series,
    scales: { x: { time: false, distr: log.x ? 3 : 1 }, y: { distr: log.y ? 3 : 1 } },
    axes: [axis(panel.x ?? figure.x.label, 40), axis(figure.y.label, 74)],
    cursor: { y: false },
  }, data, holder);
  return { holder, chart };
}
