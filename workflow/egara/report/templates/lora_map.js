// One map: an SVG with one point per LoRA, which says when a point is chosen.
class LoraMap {
  constructor(svg, loras, size, choose) {
    Object.assign(this, { svg, loras, size, choose, focus: -1, points: [] });
    const pointed = (event) => {
      const path = event.target.closest?.(".point");
      if (path) choose(Number(path.dataset.lora));
      return path;
    };
    svg.addEventListener("pointerover", pointed);
    svg.addEventListener("click", (event) => pointed(event) || choose(-1));
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") choose(-1);
      if (!step) return;
      event.preventDefault();
      choose((this.focus + step + loras.length) % loras.length);
    });
  }

  // Points of columns x and y; `labels` of the axes, empty where they have no meaning; `equal`: one unit for both axes.
  draw(columns, { labels = ["", ""], axes = true, equal = false, marker, colour }) {
    const { svg, size } = this;
    const reach = columns.map((values) => {
      const low = Math.min(...values), high = Math.max(...values);
      return high > low ? [low, high] : [low - 1, high + 1];
    });
    const room = [size.width - 2 * size.edge, size.height - 2 * size.edge];
    const units = reach.map(([low, high], i) => room[i] / (high - low));
    const scale = equal ? units.map(() => Math.min(...units)) : units;
    const middle = reach.map(([low, high]) => (low + high) / 2);
    const place = [
      (v) => size.width / 2 + (v - middle[0]) * scale[0],
      (v) => size.height / 2 - (v - middle[1]) * scale[1],
    ];
    svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    svg.replaceChildren();
    const [x0, y0] = [place[0](0), place[1](0)];
    if (axes && x0 > 26 && x0 < size.width - 8) element("line", { class: "axis", x1: x0, x2: x0, y1: 8, y2: size.height - 26 }, svg);
    if (axes && y0 > 8 && y0 < size.height - 26) element("line", { class: "axis", x1: 26, x2: size.width - 8, y1: y0, y2: y0 }, svg);
    element("text", { x: size.width / 2, y: size.height - 9, "text-anchor": "middle" }, svg).textContent = labels[0];
    element("text", { x: 15, y: size.height / 2, "text-anchor": "middle", transform: `rotate(-90 15 ${size.height / 2})` }, svg).textContent = labels[1];
    this.threads = element("g", { class: "threads" }, svg);
    this.group = element("g", { class: "points" }, svg);
    const radius = this.loras.length > 600 ? 3.2 : 4.6;
    this.points = this.loras.map((lora, i) => {
      const at = [place[0](columns[0][i]), place[1](columns[1][i])];
      const transform = `translate(${at.map((v) => v.toFixed(1)).join(" ")})`;
      const path = element("path", { class: "point", d: outline(marker(lora), radius), fill: colour(lora), transform }, this.group);
      path.dataset.lora = i;
      element("title", {}, path).textContent = `${lora.name}, ${lora.author}`;
      return { at, path };
    });
  }

  // Highlight one LoRA and its nearest; fade those that `away` names.
  mark(focus, near, away) {
    this.focus = focus;
    const close = new Set(near.map((found) => found.row));
    this.points.forEach(({ path }, i) => {
      const kind = i === focus ? "focus" : close.has(i) ? "near" : away(i) ? "away" : focus >= 0 ? "dim" : "";
      path.setAttribute("class", `point ${kind}`.trim());
    });
    this.threads.replaceChildren();
    if (focus < 0) return;
    const [x1, y1] = this.points[focus].at;
    for (const { row, same } of near) {
      const [x2, y2] = this.points[row].at;
      element("line", { class: `thread ${same ? "same" : "other"}`, x1, y1, x2, y2 }, this.threads);
    }
    this.group.append(this.points[focus].path);
  }
}
