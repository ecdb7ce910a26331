// Figures of kind "xy": panels of layers over two numeric axes.
import { plot, areaY, dot, line, link, ruleX, ruleY, text, tip, pointer, axisX, axisY, gridX, gridY } from "@observablehq/plot";
import { groupColour, known, numberText, symbolOf } from "./theme.js";

function rowsOf(layer, log) {
  const rows = [];
  for (let i = 0; i < layer.x.length; ++i) {
    const x = layer.x[i];
    if (!known(x) || (log.x && x <= 0)) continue;
    const value = (list) => (list && known(list[i]) && !(log.y && list[i] <= 0) ? list[i] : NaN);
    rows.push({
      x,
      y: value(layer.y),
      low: value(layer.low),
      high: value(layer.high),
      group: layer.groups ? layer.groups[i] : layer.group,
      strength: layer.strength ? layer.strength[i] : 1,
      label: layer.text ? layer.text[i] : "",
      name: layer.name,
    });
  }
  return rows;
}

const has = (key) => (row) => known(row[key]);

function marksOf(layer, log) {
  const rows = rowsOf(layer, log);
  const colour = groupColour(layer.group);
  const shared = { x: "x", strokeDasharray: layer.dashed ? "5 4" : undefined };
  switch (layer.mark) {
    case "band":
      return [areaY(rows, { x: "x", y1: "low", y2: "high", fill: colour, fillOpacity: 0.16, className: "mark" })];
    case "line":
      return [line(rows, { ...shared, y: "y", stroke: colour, strokeWidth: layer.thin ? 1 : 2, strokeOpacity: layer.thin ? 0.55 : 1 })];
    case "step":
      return [line(rows, { ...shared, y: "y", stroke: colour, strokeWidth: 2, curve: "step-after" })];
    case "intervals":
      return [
        link(rows.filter((r) => known(r.low) && known(r.high)), { x: "x", y1: "low", y2: "high", stroke: colour, strokeWidth: 1.5 }),
        dot(rows.filter(has("y")), { x: "x", y: "y", fill: colour, r: 3.5, symbol: (r) => symbolOf(r.group) }),
      ];
    default:
      return [
        dot(rows.filter(has("y")), {
          x: "x",
          y: "y",
          fill: (r) => groupColour(r.group),
          symbol: (r) => symbolOf(r.group),
          fillOpacity: (r) => 0.15 + 0.65 * r.strength,
          stroke: (r) => groupColour(r.group),
          strokeOpacity: (r) => 0.3 + 0.6 * r.strength,
          strokeWidth: 0.8,
          r: rows.length > 800 ? 2 : 3.2,
        }),
      ];
  }
}

function tipOf(panel, figure, log) {
  const rows = panel.layers.filter((layer) => layer.mark !== "band").flatMap((layer) => rowsOf(layer, log)).filter(has("y"));
  if (rows.length === 0 || rows.length > 6000) return [];
  const title = (r) =>
    [r.name, r.label, `${panel.x ?? figure.x.label}: ${numberText(r.x)}`, `${figure.y.label}: ${numberText(r.y)}`,
      known(r.low) ? `${numberText(r.low)} to ${numberText(r.high)}` : ""].filter(Boolean).join("\n");
  return [tip(rows, pointer({ x: "x", y: "y", title, fill: "var(--page)", stroke: "var(--line)" }))];
}

function extent(panels, log, axis) {
  let low = Infinity;
  let high = -Infinity;
  for (const panel of panels)
    for (const layer of panel.layers)
      for (const key of axis === "x" ? ["x"] : ["y", "low", "high"])
        for (const value of layer[key] ?? [])
          if (known(value) && !(log && value <= 0)) {
            low = Math.min(low, value);
            high = Math.max(high, value);
          }
  if (!(low <= high)) return undefined;
  if (log && low < high) return [low / Math.pow(high / low, 0.04), high * Math.pow(high / low, 0.04)];
  if (low === high) return log ? [low / 2, high * 2] : [low - 1, high + 1];
  return [low, high];
}

/// Few ticks on axes of powers of ten, each with its number written out.
const logTicks = { tickFormat: (v) => (v >= 1e-3 && v < 1e5 ? String(Number(v.toPrecision(6))) : v.toExponential(0)) };

export function drawXy(figure, width, height, still) {
  const log = { x: figure.x.log === true, y: figure.y.log === true };
  const sharedY = figure.panels.length > 1 && figure.shared_y !== false ? extent(figure.panels, log.y, "y") : undefined;
  return figure.panels.map((panel) => {
    const y = sharedY ?? extent([panel], log.y, "y");
    const x = extent([panel], log.x, "x");
    const marks = [gridX({ strokeOpacity: 0.12 }), gridY({ strokeOpacity: 0.12 })];
    for (const rule of figure.rules ?? []) {
      const style = { stroke: "var(--neutral)", strokeDasharray: "3 3" };
      if (known(rule.x)) marks.push(ruleX([rule.x], style));
      if (known(rule.y)) marks.push(ruleY([rule.y], style));
    }
    if (figure.diagonal && x && y) {
      const low = Math.max(x[0], y[0]);
      const high = Math.min(x[1], y[1]);
      marks.push(link([0], { x1: low, y1: low, x2: high, y2: high, stroke: "var(--neutral)", strokeDasharray: "3 3" }));
    }
    for (const layer of panel.layers) marks.push(...marksOf(layer, log));
    for (const rule of figure.rules ?? [])
      if (rule.label && known(rule.x) && y)
        marks.push(text([rule], { x: "x", frameAnchor: "top", dy: 4, dx: 4, textAnchor: "start", text: "label", fill: "var(--soft)" }));
    if (!still) marks.push(...tipOf(panel, figure, log));
    const ticks = (axis) => (log[axis] ? logTicks : {});
    marks.push(axisX({ label: null, ...ticks("x") }), axisY({ label: null, ...ticks("y") }));
    return {
      title: panel.title,
      yLabel: figure.y.label,
      xLabel: panel.x ?? figure.x.label,
      chart: plot({
        width,
        height,
        marginLeft: 62,
        marginBottom: 28,
        marginTop: 12,
        marginRight: 16,
        x: { type: log.x ? "log" : "linear", domain: x, nice: !log.x },
        y: { type: log.y ? "log" : "linear", domain: y, nice: !log.y },
        symbol: { type: "identity" },
        marks,
      }),
    };
  });
}

/// What the legend lists: each named layer once.
export function legendOf(figure) {
  const entries = new Map();
  for (const panel of figure.panels)
    for (const layer of panel.layers)
      if (layer.name && !entries.has(layer.name) && layer.mark !== "band" && !layer.thin)
        entries.set(layer.name, { name: layer.name, group: layer.group, mark: layer.mark, dashed: layer.dashed });
  for (const [group, name] of (figure.group_names ?? []).entries())
    if (!entries.has(name)) entries.set(name, { name, group, mark: "points" });
  return [...entries.values()];
}
