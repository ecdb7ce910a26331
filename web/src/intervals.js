// Figures of kind "intervals": estimates with their intervals, or bars from zero, one line each, in sections.
import { plot, axisX, axisY, barX, dot, gridX, link, ruleX } from "@observablehq/plot";
import { groupColour, known, numberText, symbolOf } from "./theme.js";

export function drawIntervals(figure, width) {
  const sections = [...new Set(figure.items.map((item) => item.section))];
  const longest = Math.max(...figure.items.map((item) => item.label.length), 4);
  const marginLeft = Math.min(width * 0.45, 20 + 7 * longest);
  return sections.map((section) => {
    const items = figure.items.filter((item) => item.section === section).map((item, i) => ({ ...item, i }));
    const title = (item) => `${item.label}: ${numberText(item.estimate)}` +
      (known(item.low) ? ` (${numberText(item.low)} to ${numberText(item.high)})` : "") + (item.note ? `\n${item.note}` : "");
    const ends = items.filter((item) => known(item.low) && known(item.high));
    const points = items.filter((item) => known(item.estimate));
    const log = figure.x.log === true;
    const marks = [gridX({ strokeOpacity: 0.12 })];
    if (known(figure.reference)) marks.push(ruleX([figure.reference], { stroke: "var(--neutral)", strokeDasharray: "3 3" }));
    if (figure.bars) marks.push(barX(points, { y: "i", x: "estimate", fill: (item) => groupColour(item.group), fillOpacity: 0.75, inset: 2, title }));
    marks.push(link(ends, { x1: "low", x2: "high", y1: "i", y2: "i", stroke: (item) => groupColour(item.group), strokeWidth: 2 }));
    if (!figure.bars)
      marks.push(dot(points, { x: "estimate", y: "i", fill: (item) => groupColour(item.group), symbol: (item) => symbolOf(item.group), r: 4, title }));
    marks.push(axisX({ label: null }), axisY({ label: null, tickFormat: (i) => items[i].label, tickSize: 0 }));
    return {
      title: section,
      xLabel: figure.x.label,
      yLabel: "",
      chart: plot({ width, height: 44 + 22 * items.length, marginLeft, marginBottom: 28, marginTop: 8, marginRight: 20,
        x: { type: log ? "log" : "linear", nice: true }, y: { type: "band", domain: items.map((item) => item.i) },
        symbol: { type: "identity" }, marks }),
    };
  });
}
