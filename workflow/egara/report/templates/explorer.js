// The pair of maps and the explorer below it: one LoRA in focus, the same in every map.
const root = document.getElementById("explorer");
const data = JSON.parse(document.getElementById("explorer-data").textContent);
const choices = Object.fromEntries([...root.querySelectorAll("[data-choice]")].map((e) => [e.dataset.choice, e]));
const loras = data.loras.map(([author, work, set]) => ({ author, work, set, name: `${work} / ${set}` }));
const sorted = (values) => [...new Set(values)].sort();
const authors = sorted(loras.map((lora) => lora.author));
const state = { focus: -1, alone: null };
const WIDE = { width: 760, height: 560, edge: 46 };
const HALF = { width: 520, height: 430, edge: 30 };

const integers = (text, signed) => {
  const view = new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  return Array.from({ length: view.byteLength / 2 }, (_, i) => (signed ? view.getInt16(2 * i, true) : view.getUint16(2 * i, true)));
};
// Colour shows what is chosen, the marker the other one: the author's colour and the work's marker, or the reverse.
const look = {
  colour: (lora) => data.colours[choices.colour.value][lora[choices.colour.value]],
  marker: (lora) => {
    const other = choices.colour.value === "author" ? "work" : "author";
    return data.markers[other][lora[other]];
  },
};

const fill = (select, options, wanted) => {
  const before = wanted ?? select.value;
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  select.value = options.some(([value]) => String(value) === String(before)) ? before : options.length ? options[0][0] : "";
  select.parentElement.hidden = options.length < 2 && select.dataset.choice !== "map";
};
const unique = (rows, key) => [...new Set(rows.map((row) => row[key]))];
const findSpace = (cell, representation, l2) =>
  data.spaces.find((space) => space.cell === cell && space.representation === representation && space.l2 === l2);
const chosenSpace = () => findSpace(choices.cell.value, choices.representation.value, choices.l2.value);
const component = (name, map) => (map.ratios ? `${name} (${(100 * map.ratios[map.components.indexOf(name)]).toFixed(1)} %)` : `${name}`);

function column(map, name) {
  map.values ??= integers(map.data, true);
  const place = map.components.indexOf(Number(name));
  if (place < 0) return loras.map(() => 0); // two LoRAs have one component
  return loras.map((_, i) => map.values[place * loras.length + i] * map.scale[place]);
}

function nearest(space, i) {
  if (i < 0) return [];
  const { count, rows, distances } = space.neighbours;
  space.near ??= { rows: integers(rows, false), distances: integers(distances, false) };
  return Array.from({ length: count }, (_, n) => {
    const row = space.near.rows[i * count + n];
    return { row, distance: space.near.distances[i * count + n] / 30000, same: loras[row].author === loras[i].author };
  });
}

// The maps on the page: each with its SVG, its space, and the box that lists the nearest LoRAs.
const single = { map: new LoraMap(root.querySelector(".plot svg"), loras, WIDE, focusOn), space: chosenSpace, box: root.querySelector(".single .found") };
const sides = [...root.querySelectorAll(".pair .side")].map((side, i) => {
  const { cell, l2, sides: shown } = data.pair;
  const space = findSpace(cell, shown[i].representation, l2);
  return { map: new LoraMap(side.querySelector("svg"), loras, HALF, focusOn), space: () => space, box: root.querySelectorAll(".pair .found")[i] };
});
const views = [...sides, single];

function offer(wanted = {}) {
  fill(choices.cell, unique(data.spaces, "cell").map((c) => [c, data.words.cell[c]]), wanted.cell);
  let rows = data.spaces.filter((space) => space.cell === choices.cell.value);
  fill(choices.representation, unique(rows, "representation").map((r) => [r, data.words.representation[r]]), wanted.representation);
  rows = rows.filter((space) => space.representation === choices.representation.value);
  fill(choices.l2, unique(rows, "l2").map((v) => [v, v]), wanted.l2);
  const { maps } = chosenSpace();
  fill(choices.map, Object.keys(maps).map((m) => [m, data.words.map[m]]), wanted.map);
  const map = maps[choices.map.value];
  const components = map.components.map((c) => [c, component(c, map)]);
  fill(choices.x, components, wanted.x);
  fill(choices.y, components, wanted.y ?? (choices.y.value || map.components[1]));
  if (choices.x.value === choices.y.value) choices.y.value = String(map.components.find((c) => String(c) !== choices.x.value) ?? "");
  const flat = choices.map.value === "umap" || map.components.length < 3;
  for (const part of root.querySelectorAll(".axes")) part.hidden = flat;
  for (const preset of root.querySelectorAll(".preset"))
    preset.hidden = flat || !preset.dataset.pair.split(",").every((c) => map.components.includes(Number(c)));
}

function draw() {
  const map = chosenSpace().maps[choices.map.value];
  const flat = choices.map.value === "umap";
  const axes = flat ? map.components.slice(0, 2) : [choices.x.value, choices.y.value];
  const labels = axes.map((name) => (flat || !map.components.includes(Number(name)) ? "" : `component ${component(Number(name), map)}`));
  single.map.draw(axes.map((name) => column(map, name)), { ...look, labels, axes: !flat });
  for (const side of sides) {
    const drawn = side.space().maps[data.pair.map];
    const linear = data.pair.map !== "umap";
    const columns = [0, 1].map((place) => column(drawn, drawn.components[place]));
    const named = columns.map((_, place) => (linear && drawn.components.length > place ? `component ${component(drawn.components[place], drawn)}` : ""));
    side.map.draw(columns, { ...look, labels: named, axes: linear, equal: true });
  }
  drawLegends();
  show();
}

function drawLegends() {
  for (const box of root.querySelectorAll(".legend")) {
    box.replaceChildren();
    for (const author of authors) {
      const group = html("div", "", box, "author");
      legendEntry(group, "author", author, null);
      for (const work of sorted(loras.filter((lora) => lora.author === author).map((lora) => lora.work)))
        legendEntry(group, "work", work, loras.find((lora) => lora.work === work));
    }
  }
}

function legendEntry(group, key, value, lora) {
  const button = html("button", "", group, key === "author" ? "head" : "");
  const alone = state.alone && state.alone.key === key && state.alone.value === value;
  button.type = "button";
  button.setAttribute("aria-pressed", String(Boolean(alone)));
  if (lora) {
    const icon = element("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" });
    element("path", { d: outline(look.marker(lora), 5), fill: look.colour(lora) }, icon);
    button.append(icon);
  }
  html("bdi", value, button);
  button.addEventListener("click", () => {
    state.alone = alone ? null : { key, value };
    drawLegends();
    show();
  });
}

function show() {
  for (const { map, space, box } of views) {
    const near = nearest(space(), state.focus);
    map.mark(state.focus, near, (i) => state.alone && loras[i][state.alone.key] !== state.alone.value);
    describe(box, space(), near);
  }
  const heading = root.querySelector(".pair .focus-name");
  if (heading) nameFocus(heading);
}

function nameFocus(box) {
  box.replaceChildren();
  const focus = loras[state.focus];
  if (!focus) {
    html("span", "Point at a LoRA, or use the arrow keys in a map: it is highlighted in both.", box, "hint");
    return;
  }
  html("b", focus.name, box).dir = "auto";
  box.append(" ");
  html("bdi", focus.author, box, "hint");
}

function describe(box, space, near) {
  box.replaceChildren();
  const focus = loras[state.focus];
  const inPair = box.closest(".pair");
  if (!focus) {
    if (!inPair) html("p", "Point at a LoRA, or use the arrow keys in the map, to see its nearest neighbours.", box);
    return;
  }
  if (!inPair) {
    html("h4", focus.name, box).dir = "auto";
    html("p", focus.author, box).dir = "auto";
  }
  const heading = inPair ? `By ${data.words.representation[space.representation]}, nearest in all dimensions:` : "Nearest by cosine distance, in all dimensions:";
  html("p", near.length ? heading : "The LoRAs do not differ: none is nearer.", box);
  const list = html("ol", "", box);
  for (const { row, distance, same } of near) {
    const item = html("li", "", list);
    item.dataset.lora = row;
    html("bdi", loras[row].name, item);
    item.append(` ${distance.toFixed(3)} `);
    html("span", loras[row].work === focus.work ? "same work" : same ? "same author" : "other author", item, `mark ${same ? "same" : "other"}`);
  }
  if (!inPair) showFaces(box, focus);
}

function showFaces(box, lora) {
  const sheet = data.faces[lora.work];
  if (!sheet || !sheet.strips[lora.set]) return;
  const strip = html("div", "", box, "strip");
  strip.setAttribute("role", "img");
  strip.setAttribute("aria-label", "faces of its set");
  for (const number of sheet.strips[lora.set]) {
    const face = html("span", "", strip);
    face.style.width = face.style.height = `${sheet.side}px`;
    face.style.backgroundImage = `url("${sheet.sheet}")`;
    face.style.backgroundPosition = `-${(number % sheet.columns) * sheet.side}px -${Math.floor(number / sheet.columns) * sheet.side}px`;
  }
}

function focusOn(i) {
  if (i === state.focus) return;
  state.focus = i;
  show();
  remember();
}

function remember() {
  const view = new URLSearchParams();
  for (const [key, select] of Object.entries(choices)) view.set(key, select.value);
  if (state.focus >= 0) view.set("lora", loras[state.focus].name);
  try {
    history.replaceState(null, "", `#explore?${view}`);
  } catch {
    // Some viewers of local files do not let a page change its address.
  }
}

function recall() {
  const [name, query] = location.hash.slice(1).split("?");
  if (name !== "explore" || !query) return {};
  const view = Object.fromEntries(new URLSearchParams(query));
  if (view.colour) choices.colour.value = view.colour === "work" ? "work" : "author";
  state.focus = loras.findIndex((lora) => lora.name === view.lora);
  if (view.representation) root.querySelector(".single").open = true; // a link to one of all maps
  return view;
}

for (const select of Object.values(choices)) select.addEventListener("change", () => { offer(); draw(); remember(); });
for (const preset of root.querySelectorAll(".preset"))
  preset.addEventListener("click", () => {
    [choices.x.value, choices.y.value] = preset.dataset.pair.split(",");
    draw();
    remember();
  });
const open = () => { offer(recall()); draw(); };
window.addEventListener("hashchange", () => { if (location.hash.startsWith("#explore?")) open(); });
open();
