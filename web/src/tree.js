// Figures of kind "tree": a dendrogram. merges[s] joins nodes `left` and `right` at `height`; leaves are 0 .. n-1, and merge s
// makes node n + s. Leaves are laid out so that no branches cross.
import { plot, axisX, axisY, gridX, link, ruleX } from "@observablehq/plot";
import { groupColour, known } from "./theme.js";

export function drawTree(figure, width) {
  const n = figure.leaves.length;
  const node = (id) => (id < n ? null : figure.merges[id - n]);
  const used = new Set(figure.merges.flatMap((merge) => [merge.left, merge.right]));
  const roots = [];
  for (let id = 0; id < n + figure.merges.length; ++id) if (!used.has(id)) roots.push(id);
  const order = [];
  const visit = (id) => {
    const merge = node(id);
    if (!merge) return void order.push(id);
    visit(merge.left);
    visit(merge.right);
  };
  roots.forEach(visit);
  const place = new Map(order.map((id, i) => [id, { at: i, height: 0 }]));
  const branches = [];
  figure.merges.forEach((merge, s) => {
    const left = place.get(merge.left);
    const right = place.get(merge.right);
    branches.push({ x1: left.height, x2: merge.height, y1: left.at, y2: left.at },
      { x1: right.height, x2: merge.height, y1: right.at, y2: right.at },
      { x1: merge.height, x2: merge.height, y1: left.at, y2: right.at });
    place.set(n + s, { at: (left.at + right.at) / 2, height: merge.height });
  });
  const marks = [gridX({ strokeOpacity: 0.12 }), link(branches, { x1: "x1", x2: "x2", y1: "y1", y2: "y2", stroke: groupColour(0), strokeWidth: 2 })];
  if (known(figure.cut)) marks.push(ruleX([figure.cut], { stroke: "var(--neutral)", strokeDasharray: "3 3" }));
  const longest = Math.max(...figure.leaves.map((name) => name.length), 4);
  marks.push(axisX({ label: null }), axisY({ label: null, ticks: order.map((_, i) => i), tickFormat: (i) => figure.leaves[order[i]], tickSize: 0 }));
  return [{
    title: "",
    xLabel: figure.x.label,
    yLabel: "",
    chart: plot({ width: Math.min(width, 640), height: 60 + 26 * n, marginLeft: 20 + 7 * longest, marginBottom: 28, marginTop: 12,
      x: { nice: true, zero: true }, y: { domain: [-0.5, n - 0.5] }, marks }),
  }];
}
