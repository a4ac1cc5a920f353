"use strict";
(() => {
  const root = document.getElementById("explorer");
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const svg = root.querySelector(".plot svg");
  const choices = Object.fromEntries([...root.querySelectorAll("[data-choice]")].map((e) => [e.dataset.choice, e]));
  const SIZE = { width: 760, height: 560, edge: 46 };
  const SHAPES = ["circle", "square", "triangle", "diamond", "down", "plus", "cross", "pentagon", "hexagon", "left", "right", "thin"];
  const loras = data.loras.map(([author, work, set]) => ({ author, work, set }));
  const sorted = (values) => [...new Set(values)].sort();
  const authors = sorted(loras.map((l) => l.author));
  const works = sorted(loras.map((l) => l.work));
  const state = { focus: -1, alone: null };

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const integers = (text, signed) => {
    const view = new DataView(bytes(text).buffer);
    return Array.from({ length: view.byteLength / 2 }, (_, i) => (signed ? view.getInt16(2 * i, true) : view.getUint16(2 * i, true)));
  };
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
  const corners = (count, turn, radius) =>
    Array.from({ length: count }, (_, i) => {
      const angle = turn + (2 * Math.PI * i) / count;
      return `${(radius * Math.cos(angle)).toFixed(2)},${(radius * Math.sin(angle)).toFixed(2)}`;
    }).join("L");
  const outline = (shape, r) => {
    const up = -Math.PI / 2;
    const bar = r * 0.38;
    switch (shape) {
      case "square": return `M${corners(4, Math.PI / 4, r * 1.2)}Z`;
      case "triangle": return `M${corners(3, up, r * 1.3)}Z`;
      case "down": return `M${corners(3, -up, r * 1.3)}Z`;
      case "left": return `M${corners(3, Math.PI, r * 1.3)}Z`;
      case "right": return `M${corners(3, 0, r * 1.3)}Z`;
      case "diamond": return `M${corners(4, 0, r * 1.25)}Z`;
      case "thin": return `M0,${-1.5 * r}L${0.7 * r},0L0,${1.5 * r}L${-0.7 * r},0Z`;
      case "pentagon": return `M${corners(5, up, r * 1.15)}Z`;
      case "hexagon": return `M${corners(6, up, r * 1.15)}Z`;
      case "plus": case "cross": {
        const p = [[-bar, -r], [bar, -r], [bar, -bar], [r, -bar], [r, bar], [bar, bar], [bar, r], [-bar, r], [-bar, bar], [-r, bar], [-r, -bar], [-bar, -bar]];
        const turn = shape === "cross" ? Math.SQRT1_2 : 0;
        return `M${p.map(([x, y]) => (turn ? [(x - y) * turn, (x + y) * turn] : [x, y]).map((v) => (v * 1.2).toFixed(2)).join(",")).join("L")}Z`;
      }
      default: return `M${-r},0A${r},${r} 0 1 0 ${r},0A${r},${r} 0 1 0 ${-r},0Z`;
    }
  };
  const shape = (lora) => SHAPES[(choices.colour.value === "author" ? works.indexOf(lora.work) : authors.indexOf(lora.author)) % SHAPES.length];
  const paint = (lora) => data.colours[choices.colour.value][lora[choices.colour.value]];
  const named = (lora) => `${lora.work} / ${lora.set}`;

  const fill = (select, options, wanted) => {
    const before = wanted ?? select.value;
    select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
    select.value = options.some(([value]) => String(value) === String(before)) ? before : options.length ? options[0][0] : "";
    select.parentElement.hidden = options.length < 2 && select.dataset.choice !== "map";
  };
  const unique = (rows, key) => [...new Set(rows.map((row) => row[key]))];
  const space = () =>
    data.spaces.find((s) => s.cell === choices.cell.value && s.representation === choices.representation.value && s.l2 === choices.l2.value);
  const component = (name, map) => (map.ratios ? `${name} (${(100 * map.ratios[map.components.indexOf(name)]).toFixed(1)} %)` : `${name}`);

  function offer(wanted = {}) {
    fill(choices.cell, unique(data.spaces, "cell").map((c) => [c, data.words.cell[c]]), wanted.cell);
    let rows = data.spaces.filter((s) => s.cell === choices.cell.value);
    fill(choices.representation, unique(rows, "representation").map((r) => [r, data.words.representation[r]]), wanted.representation);
    rows = rows.filter((s) => s.representation === choices.representation.value);
    fill(choices.l2, unique(rows, "l2").map((v) => [v, v]), wanted.l2);
    const here = space();
    fill(choices.map, Object.keys(here.maps).map((m) => [m, data.words.map[m]]), wanted.map);
    const map = here.maps[choices.map.value];
    const pairs = map.components.map((c) => [c, component(c, map)]);
    fill(choices.x, pairs, wanted.x);
    fill(choices.y, pairs, wanted.y ?? (choices.y.value || map.components[1]));
    if (choices.x.value === choices.y.value) choices.y.value = String(map.components.find((c) => String(c) !== choices.x.value) ?? "");
    const flat = choices.map.value === "umap" || map.components.length < 3;
    for (const part of root.querySelectorAll(".pair")) part.hidden = flat;
    for (const preset of root.querySelectorAll(".preset"))
      preset.hidden = flat || !preset.dataset.pair.split(",").every((c) => map.components.includes(Number(c)));
  }

  function positions(here) {
    const map = here.maps[choices.map.value];
    const values = integers(map.data, true);
    const column = (name) => {
      const place = map.components.indexOf(Number(name));
      if (place < 0) return loras.map(() => 0); // two LoRAs have one component
      return loras.map((_, i) => values[place * loras.length + i] * map.scale[place]);
    };
    const axes = choices.map.value === "umap" ? map.components.slice(0, 2) : [choices.x.value, choices.y.value];
    return axes.map(column);
  }

  function draw() {
    const here = space();
    const [x, y] = positions(here);
    const reach = (values) => {
      const low = Math.min(...values), high = Math.max(...values);
      return high > low ? [low, high] : [low - 1, high + 1];
    };
    const [x0, x1] = reach(x), [y0, y1] = reach(y);
    const place = {
      x: (v) => SIZE.edge + ((v - x0) / (x1 - x0)) * (SIZE.width - 2 * SIZE.edge),
      y: (v) => SIZE.height - SIZE.edge - ((v - y0) / (y1 - y0)) * (SIZE.height - 2 * SIZE.edge),
    };
    svg.setAttribute("viewBox", `0 0 ${SIZE.width} ${SIZE.height}`);
    svg.replaceChildren();
    const flat = choices.map.value === "umap";
    if (!flat && x0 < 0 && x1 > 0) element("line", { class: "axis", x1: place.x(0), x2: place.x(0), y1: 8, y2: SIZE.height - 26 }, svg);
    if (!flat && y0 < 0 && y1 > 0) element("line", { class: "axis", x1: 26, x2: SIZE.width - 8, y1: place.y(0), y2: place.y(0) }, svg);
    const map = here.maps[choices.map.value];
    const label = (name) => (flat || !map.components.includes(Number(name)) ? "" : `component ${component(Number(name), map)}`);
    element("text", { x: SIZE.width / 2, y: SIZE.height - 9, "text-anchor": "middle" }, svg).textContent = label(choices.x.value);
    element("text", { x: 15, y: SIZE.height / 2, "text-anchor": "middle", transform: `rotate(-90 15 ${SIZE.height / 2})` }, svg).textContent = label(choices.y.value);
    element("g", { class: "threads" }, svg);
    const group = element("g", { class: "points" }, svg);
    const radius = loras.length > 600 ? 3.2 : 4.6;
    loras.forEach((lora, i) => {
      lora.at = [place.x(x[i]), place.y(y[i])];
      const path = element("path", { class: "point", d: outline(shape(lora), radius), fill: paint(lora), transform: `translate(${lora.at.map((v) => v.toFixed(1)).join(" ")})` }, group);
      path.dataset.lora = i;
      element("title", {}, path).textContent = `${named(lora)}, ${lora.author}`;
      lora.path = path;
    });
    legend();
    show();
  }

  function legend() {
    const box = root.querySelector(".legend");
    box.replaceChildren();
    const entry = (text, kind, key, value, lora) => {
      const button = html("button", "", box, kind);
      button.type = "button";
      const alone = state.alone && state.alone.key === key && state.alone.value === value;
      button.setAttribute("aria-pressed", String(Boolean(alone)));
      if (lora) {
        const icon = element("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" });
        element("path", { d: outline(shape(lora), 5), fill: paint(lora) }, icon);
        button.append(icon);
      }
      button.append(text);
      button.addEventListener("click", () => {
        state.alone = alone ? null : { key, value };
        legend();
        show();
      });
    };
    for (const author of authors) {
      entry(author, "head", "author", author, null);
      for (const work of sorted(loras.filter((l) => l.author === author).map((l) => l.work)))
        entry(work, "", "work", work, loras.find((l) => l.work === work));
    }
  }

  function near(here, i) {
    const { count, rows, distances } = here.neighbours;
    here.near ??= { rows: integers(rows, false), distances: integers(distances, false) };
    return Array.from({ length: count }, (_, n) => ({ row: here.near.rows[i * count + n], distance: here.near.distances[i * count + n] / 30000 }));
  }

  function show() {
    const here = space();
    const focus = loras[state.focus];
    const found = focus ? near(here, state.focus) : [];
    const close = new Set(found.map((f) => f.row));
    loras.forEach((lora, i) => {
      const away = state.alone && lora[state.alone.key] !== state.alone.value && i !== state.focus && !close.has(i);
      const kind = i === state.focus ? "focus" : close.has(i) ? "near" : away ? "away" : focus ? "dim" : "";
      lora.path.setAttribute("class", `point ${kind}`.trim());
    });
    const threads = svg.querySelector(".threads");
    threads.replaceChildren();
    const box = root.querySelector(".found");
    box.replaceChildren();
    if (!focus) {
      html("p", "Point at a LoRA, or use the arrow keys in the map, to see whom it lies next to.", box);
      return;
    }
    html("h4", named(focus), box).dir = "auto";
    html("p", focus.author, box).dir = "auto";
    html("p", found.length ? "Nearest by cosine distance, in all dimensions:" : "The LoRAs do not differ: none is nearer.", box);
    const list = html("ol", "", box);
    for (const { row, distance } of found) {
      const other = loras[row];
      const same = other.author === focus.author;
      const [x1, y1] = focus.at, [x2, y2] = other.at;
      element("line", { class: `thread ${same ? "same" : "other"}`, x1, y1, x2, y2 }, threads);
      const item = html("li", "", list);
      item.dataset.lora = row;
      html("bdi", named(other), item);
      const words = other.work === focus.work ? "same work" : same ? "same author" : "other author";
      item.append(` ${distance.toFixed(3)} `);
      html("span", words, item, `mark ${same ? "same" : "other"}`);
    }
    const sheet = data.faces[focus.work];
    if (sheet && sheet.strips[focus.set]) {
      const strip = html("div", "", box, "strip");
      strip.setAttribute("aria-label", "faces of its set");
      for (const number of sheet.strips[focus.set]) {
        const face = html("span", "", strip);
        face.style.width = face.style.height = `${sheet.side}px`;
        face.style.backgroundImage = `url("${sheet.sheet}")`;
        face.style.backgroundPosition = `-${(number % sheet.columns) * sheet.side}px -${Math.floor(number / sheet.columns) * sheet.side}px`;
      }
    }
    svg.querySelector(".points").append(focus.path);
  }

  function look(i) {
    if (i === state.focus) return;
    state.focus = i;
    show();
    remember();
  }

  function remember() {
    const view = new URLSearchParams();
    for (const [key, select] of Object.entries(choices)) view.set(key, select.value);
    if (state.focus >= 0) view.set("lora", named(loras[state.focus]));
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
    state.focus = loras.findIndex((l) => named(l) === view.lora);
    return view;
  }

  for (const select of Object.values(choices)) select.addEventListener("change", () => { offer(); draw(); remember(); });
  for (const preset of root.querySelectorAll(".preset"))
    preset.addEventListener("click", () => {
      [choices.x.value, choices.y.value] = preset.dataset.pair.split(",");
      draw();
      remember();
    });
  const pointed = (event) => {
    const path = event.target.closest?.(".point");
    if (path) look(Number(path.dataset.lora));
  };
  svg.addEventListener("pointerover", pointed);
  svg.addEventListener("click", (event) => (event.target.closest(".point") ? pointed(event) : look(-1)));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") look(-1);
    if (!step) return;
    event.preventDefault();
    look((state.focus + step + loras.length) % loras.length);
  });
  const open = () => { offer(recall()); draw(); };
  window.addEventListener("hashchange", () => { if (location.hash.startsWith("#explore?")) open(); });
  open();
})();
