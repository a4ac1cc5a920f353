// Elements, and the outlines of markers, named as in matplotlib.
const element = (name, attributes = {}, parent = null) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (parent) parent.append(made);
  return made;
};

const html = (name, text, parent, kind = "") => {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  parent.append(made);
  return made;
};

const polygon = (count, start, radius) => {
  const corners = Array.from({ length: count }, (_, i) => {
    const angle = start + (2 * Math.PI * i) / count;
    return `${(radius * Math.cos(angle)).toFixed(2)},${(radius * Math.sin(angle)).toFixed(2)}`;
  });
  return `M${corners.join("L")}Z`;
};

const cross = (r, diagonal) => {
  const bar = r * 0.38;
  const corners = [
    [-bar, -r], [bar, -r], [bar, -bar], [r, -bar], [r, bar], [bar, bar],
    [bar, r], [-bar, r], [-bar, bar], [-r, bar], [-r, -bar], [-bar, -bar],
  ];
  const turned = ([x, y]) => (diagonal ? [(x - y) * Math.SQRT1_2, (x + y) * Math.SQRT1_2] : [x, y]);
  return `M${corners.map((corner) => turned(corner).map((v) => (v * 1.2).toFixed(2)).join(",")).join("L")}Z`;
};

const UP = -Math.PI / 2;
const OUTLINES = {
  o: (r) => `M${-r},0A${r},${r} 0 1 0 ${r},0A${r},${r} 0 1 0 ${-r},0Z`,
  s: (r) => polygon(4, Math.PI / 4, r * 1.2),
  "^": (r) => polygon(3, UP, r * 1.3),
  v: (r) => polygon(3, -UP, r * 1.3),
  "<": (r) => polygon(3, Math.PI, r * 1.3),
  ">": (r) => polygon(3, 0, r * 1.3),
  D: (r) => polygon(4, 0, r * 1.25),
  d: (r) => `M0,${-1.5 * r}L${0.7 * r},0L0,${1.5 * r}L${-0.7 * r},0Z`,
  p: (r) => polygon(5, UP, r * 1.15),
  h: (r) => polygon(6, UP, r * 1.15),
  P: (r) => cross(r, false),
  X: (r) => cross(r, true),
};

const outline = (marker, radius) => OUTLINES[marker](radius);
