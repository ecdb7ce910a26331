// Colours of the page, as the style sheet has them. Experts, runs and other groups are numbered from 0; -1 is neutral.

export const groupCount = 10;

/// The colour of a group, as a CSS expression: it follows the light or dark scheme by itself.
export const groupColour = (group) =>
  group === undefined || group === null || group < 0 ? "var(--neutral)" : `var(--group${group % groupCount})`;

/// A CSS colour as the browser computes it, for canvas and for files, which know no variables.
export function resolved(expression) {
  const name = /^var\((--[a-z0-9-]+)\)$/.exec(expression);
  return name ? getComputedStyle(document.documentElement).getPropertyValue(name[1]).trim() : expression;
}

/// Marks that differ by more than colour.
export const symbols = ["circle", "square", "triangle", "diamond", "star", "cross", "wye", "plus", "times", "asterisk"];
export const symbolOf = (group) => (group < 0 || group === undefined ? "circle" : symbols[group % symbols.length]);

/// Numbers for people: six significant digits at most.
export function numberText(value) {
  if (value === null || value === undefined) return "not known";
  if (typeof value !== "number") return String(value);
  return Number(value.toPrecision(6)).toString();
}

/// Numbers arrive as null where they are not known; charts leave a gap there.
export const known = (value) => typeof value === "number" && Number.isFinite(value);
