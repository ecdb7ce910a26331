// Figures of kind "heat": a matrix of numbers as colours, its smaller ones with the numbers written in.
import { plot, axisX, axisY, cell, text } from "@observablehq/plot";
import { known, numberText } from "./theme.js";

const ramps = {
  // From the page's ground to a dark blue; blue, ground, red.
  sequential: ["#f3f6fa", "#c6d8ec", "#8db3d9", "#4f88bd", "#235f98", "#0b3a69"],
  diverging: ["#1d5a95", "#77a6d1", "#f2f2f2", "#e09a7e", "#ab3a1c"],
};

function shade(ramp, t) {
  const at = Math.min(Math.max(t, 0), 1) * (ramp.length - 1);
  const i = Math.min(Math.floor(at), ramp.length - 2);
  const channel = (colour, k) => parseInt(colour.slice(1 + 2 * k, 3 + 2 * k), 16);
  const mixed = [0, 1, 2].map((k) => Math.round(channel(ramp[i], k) + (at - i) * (channel(ramp[i + 1], k) - channel(ramp[i], k))));
  return { css: `rgb(${mixed.join(",")})`, dark: 0.299 * mixed[0] + 0.587 * mixed[1] + 0.114 * mixed[2] < 140 };
}

export function scaleOf(figure) {
  const all = figure.values.flat().filter(known);
  let low = known(figure.low) ? figure.low : Math.min(...all);
  let high = known(figure.high) ? figure.high : Math.max(...all);
  if (figure.scale === "diverging") {
    const far = Math.max(Math.abs(low), Math.abs(high));
    low = -far;
    high = far;
  }
  if (!(low < high)) high = low + 1;
  const ramp = ramps[figure.scale] ?? ramps.sequential;
  return { low, high, ramp, at: (value) => shade(ramp, (value - low) / (high - low)) };
}

export function drawHeat(figure, width) {
  const scale = scaleOf(figure);
  const rows = figure.values.flatMap((list, r) =>
    list.map((value, c) => ({ r, c, value, row: figure.rows[r], column: figure.columns[c] })));
  const written = figure.columns.length <= 16 && figure.rows.length <= 40;
  const marginLeft = Math.min(260, 24 + 7 * Math.max(...figure.rows.map((name) => name.length), 1));
  const every = Math.ceil(figure.columns.length / 12);
  const height = Math.min(900, 56 + figure.rows.length * (figure.rows.length > 40 ? 12 : 26));
  const wide = Math.min(width, marginLeft + 24 + figure.columns.length * (figure.columns.length > 16 ? 24 : 84));
  const label = (row) => `${row.row}, ${row.column}: ${numberText(row.value)}`;
  const filled = rows.filter((row) => known(row.value));
  const marks = [
    cell(filled, { x: "c", y: "r", fill: (row) => scale.at(row.value).css, inset: figure.columns.length > 60 ? 0 : 0.5, title: label }),
    axisX({ label: null, ticks: figure.columns.map((_, i) => i).filter((i) => i % every === 0), tickFormat: (i) => figure.columns[i], tickSize: 0 }),
    axisY({ label: null, tickFormat: (i) => figure.rows[i], tickSize: 0 }),
  ];
  if (written)
    marks.push(text(filled, { x: "c", y: "r", text: (row) => Number(row.value.toPrecision(3)).toString(),
      fill: (row) => (scale.at(row.value).dark ? "#ffffff" : "#10202e") }));
  return [{
    title: "",
    xLabel: figure.x?.label ?? "",
    yLabel: figure.y?.label ?? "",
    chart: plot({ width: wide, height, marginLeft, marginBottom: 26, marginTop: 6, marginRight: 20,
      x: { type: "band", domain: figure.columns.map((_, i) => i) }, y: { type: "band", domain: figure.rows.map((_, i) => i) }, marks }),
  }];
}
