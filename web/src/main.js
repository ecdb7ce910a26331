// Draws the figures of a report. The page holds every figure's title, note and table already; this adds the charts, from the
// numbers in <script type="application/json" id="figures">. Nothing is computed here but places on the page.
import { drawXy, legendOf } from "./xy.js";
import { drawHeat, scaleOf } from "./heat.js";
import { drawIntervals } from "./intervals.js";
import { drawTree } from "./tree.js";
import { drawCurves } from "./curves.js";
import { groupColour, numberText, resolved } from "./theme.js";

const element = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};

function legend(figure) {
  const list = element("ul", "legend");
  if (figure.kind === "xy") {
    const entries = legendOf(figure);
    if (entries.length < 1) return null;
    for (const entry of entries) {
      const item = element("li", "", entry.name);
      const swatch = element("span", entry.mark === "points" ? "swatch spot" : entry.dashed ? "swatch dashed" : "swatch");
      swatch.style.setProperty("--swatch", groupColour(entry.group));
      item.prepend(swatch);
      list.append(item);
    }
    return list;
  }
  if (figure.kind === "heat") {
    const scale = scaleOf(figure);
    const bar = element("span", "ramp");
    bar.style.background = `linear-gradient(to right, ${scale.ramp.join(", ")})`;
    const item = element("li", "", numberText(scale.low));
    item.append(bar, numberText(scale.high), element("span", "", figure.value ? ` ${figure.value}` : ""));
    list.append(item);
    return list;
  }
  return null;
}

function panelsOf(figure, width, still) {
  const several = figure.kind === "xy" && figure.panels.length > 1;
  const columns = several ? Math.max(1, Math.min(figure.panels.length, Math.floor(width / 330), 3)) : 1;
  const each = Math.floor(width / columns) - (columns > 1 ? 12 : 0);
  const height = several ? Math.max(190, Math.min(280, Math.round(each * 0.7))) : Math.round(Math.min(420, Math.max(240, each * 0.5)));
  if (figure.kind === "xy" && figure.zoom && !still)
    return figure.panels.map((panel) => {
      const { holder, chart } = drawCurves(figure, panel, each, height);
      return { title: panel.title, xLabel: "", yLabel: "", chart: holder, remove: () => chart.destroy() };
    });
  switch (figure.kind) {
    case "xy": return drawXy(figure, each, height, still);
    case "heat": return drawHeat(figure, width);
    case "intervals": return drawIntervals(figure, Math.min(width, 900));
    case "tree": return drawTree(figure, width);
    default: throw new Error(`figure of unknown kind '${figure.kind}'`);
  }
}

function draw(figure, place) {
  place.querySelectorAll(".drawn").forEach((old) => old.remove());
  const drawn = element("div", "drawn");
  const width = Math.max(280, Math.floor(place.clientWidth));
  const key = figure.kind === "xy" && figure.zoom ? null : legend(figure);
  if (key) drawn.append(key);
  const panels = element("div", figure.kind === "xy" && figure.panels.length > 1 ? "panels" : "panel");
  for (const panel of panelsOf(figure, width, false)) {
    const box = element("div", "box");
    const wide = panel.chart.getAttribute("width");
    if (wide) box.style.width = `${wide}px`;
    if (panel.title) box.append(element("h4", "", panel.title));
    if (panel.yLabel) box.append(element("div", "axis", `↑ ${panel.yLabel}`));
    panel.chart.setAttribute("role", "img");
    panel.chart.setAttribute("aria-label", `${figure.title}${panel.title ? `, ${panel.title}` : ""}. The numbers are in the table beside it.`);
    box.append(panel.chart);
    if (panel.xLabel) box.append(element("div", "axis right", `${panel.xLabel} →`));
    panels.append(box);
  }
  drawn.append(panels);
  place.prepend(drawn);
}

/// Pictures for papers: each panel as a document of its own that needs no style sheet, and as a PNG of twice the size.
async function pictures(figures) {
  document.documentElement.dataset.theme = "light";
  const files = [];
  for (const figure of figures) {
    const entries = figure.kind === "xy" ? legendOf(figure) : [];
    const panels = panelsOf(figure, figure.kind === "xy" && figure.panels.length > 1 ? 420 * Math.min(3, figure.panels.length) : 640, true);
    for (const [i, panel] of panels.entries()) {
      const svg = wholePicture(panel, entries);
      files.push({ name: panels.length > 1 ? `${figure.id}-${i + 1}` : figure.id, svg, png: await pngOf(svg) });
    }
  }
  return files;
}

function wholePicture(panel, entries) {
  const chart = panel.chart;
  const [width, height] = [Number(chart.getAttribute("width")), Number(chart.getAttribute("height"))];
  const space = "http://www.w3.org/2000/svg";
  const whole = document.createElementNS(space, "svg");
  const lines = [];
  let x = 8;
  let y = 16;
  const write = (words, at, line, anchor, weight) => {
    const node = document.createElementNS(space, "text");
    node.setAttribute("x", at);
    node.setAttribute("y", line);
    if (anchor) node.setAttribute("text-anchor", anchor);
    if (weight) node.setAttribute("font-weight", weight);
    node.textContent = words;
    lines.push(node);
  };
  if (panel.title) {
    write(panel.title, x, y, null, "bold");
    y += 18;
  }
  for (const entry of entries) {
    const long = 26 + 6.6 * entry.name.length;
    if (x + long > width && x > 8) {
      x = 8;
      y += 16;
    }
    const mark = document.createElementNS(space, "line");
    for (const [key, value] of Object.entries({ x1: x, x2: x + 16, y1: y - 4, y2: y - 4, "stroke-width": 3,
      stroke: resolved(groupColour(entry.group)), "stroke-dasharray": entry.dashed ? "5 4" : "none" }))
      mark.setAttribute(key, value);
    lines.push(mark);
    write(entry.name, x + 20, y);
    x += long + 10;
  }
  if (entries.length > 0) y += 18;
  if (panel.yLabel) write(`↑ ${panel.yLabel}`, 8, y);
  const top = panel.yLabel ? y + 4 : y - 12;
  chart.setAttribute("y", top);
  const bottom = top + height + 14;
  if (panel.xLabel) write(`${panel.xLabel} →`, width - 12, bottom, "end");
  for (const [key, value] of Object.entries({ xmlns: space, width, height: bottom + 8, viewBox: `0 0 ${width} ${bottom + 8}`,
    "font-family": "Helvetica, Arial, 'DejaVu Sans', sans-serif", "font-size": 12, fill: "#1b2733" }))
    whole.setAttribute(key, value);
  const paper = document.createElementNS(space, "rect");
  for (const [key, value] of Object.entries({ width: "100%", height: "100%", fill: "#ffffff" })) paper.setAttribute(key, value);
  chart.querySelectorAll("style").forEach((style) => style.remove());
  whole.append(paper, ...lines, chart);
  return new XMLSerializer().serializeToString(whole)
    .replace(/var\((--[a-z0-9-]+)\)/g, (expression) => resolved(expression))
    .replace(/currentColor/g, "#1b2733");
}

function pngOf(svg) {
  return new Promise((done) => {
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = 2 * image.width;
      canvas.height = 2 * image.height;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      done(canvas.toDataURL("image/png").split(",")[1]);
    };
    image.onerror = () => done("");
    image.src = `data:image/svg+xml;base64,${btoa(String.fromCharCode(...new TextEncoder().encode(svg)))}`;
  });
}

function start() {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  if (location.hash === "#pictures") {
    pictures(figures).then((files) => {
      const holder = element("script");
      holder.type = "application/json";
      holder.id = "pictures";
      holder.textContent = JSON.stringify(files).replace(/</g, "\\u003c");
      document.body.replaceChildren(holder);
    });
    return;
  }
  const places = [...document.querySelectorAll("[data-figure]")];
  const drawAll = () => places.forEach((place) => draw(figures[Number(place.dataset.figure)], place));
  document.documentElement.classList.add("charts");
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth;
  let pending = 0;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(pending);
    pending = setTimeout(drawAll, 150);
  });
}

start();
