"use strict";
/* Molecules: drawn by RDKit, or here from the positions that boomlib/report/site/drawings.py has written. */
BOOM.molecule = (molecules, at) => {
  const smiles = molecules.smiles[at], drawn = molecules.drawn[at];
  if (drawn)
    return BOOM.h("img", { src: `data:image/svg+xml,${encodeURIComponent(drawn)}`, alt: `Structure of ${smiles}`, width: 240, height: 170 });
  return BOOM.sketch(molecules.located[at], smiles);
};

/* The texts at an atom, each [attributes, parts of text with how far they are shifted down]: the element where the atom is,
   its hydrogens on the side that is farthest from the bonds to those `around` it. */
const writeAtom = (point, around) => {
  const [, isotope, symbol, hydrogen = "", count = "", sign = "", size = ""] =
    point.text.match(/^(\d*)([A-Z][a-z]?|\*)(?:(H)(\d*))?(?:([+-])(\d*))?$/);
  const turns = around.map((each) => Math.atan2(each.y - point.y, each.x - point.x));
  const room = (side) => Math.min(...turns.map((turn) => Math.acos(Math.cos(turn - side))));
  const sides = { right: 0, left: Math.PI, ...(around.length > 1 && { up: -Math.PI / 2, down: Math.PI / 2 }) };
  const alone = /^(O|S|Se|F|Cl|Br|I)$/.test(symbol) ? "left" : "right";
  const side = around.length ? Object.keys(sides).reduce((best, each) => (room(sides[each]) > room(sides[best]) + 0.01 ? each : best)) : alone;
  const own = [[isotope, -4], [symbol, 0]], attached = [[hydrogen, 0], [count, 3]], charge = [size + sign.replace("-", "−"), -4];
  const half = symbol.length > 1 ? 6.5 : 4.3, fill = COLOURS[symbol] || "#1b2430";
  const place = (x, y, anchor, parts) => [{ x, y: y + 4.2, "text-anchor": anchor, fill }, parts.filter(([written]) => written)];
  const start = point.x - half - 5 * isotope.length, end = point.x + half + 5 * charge[0].length;
  if (!around.length) return [place(point.x, point.y, "middle", side === "left" ? [...attached, ...own, charge] : [...own, ...attached, charge])];
  if (!hydrogen || side === "right") return [place(start, point.y, "start", [...own, ...attached, charge])];
  if (side === "left") return [place(end, point.y, "end", [...attached, ...own, charge])];
  return [place(start, point.y, "start", [...own, charge]), place(point.x - 4.3, point.y + (side === "down" ? 12 : charge[0] ? -15 : -12), "start", attached)];
};

const COLOURS = { N: "#2b3fd0", O: "#c22020", S: "#8a6d00", F: "#2a7d2a", Cl: "#2a7d2a", Br: "#8c3a12", I: "#6b2aa0" };

BOOM.sketch = (located, smiles) => {
  const [atoms, written] = located.split("|").map((part) => part.split(";").filter(Boolean).map((each) => each.split(",")));
  const bonds = written.map((bond) => bond.map(Number));
  const points = atoms.map(([x, y, text]) => ({ x: Number(x), y: -Number(y), text }));
  const make = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text) element.textContent = text;
    return element;
  };
  const [xs, ys] = [points.map((point) => point.x), points.map((point) => point.y)];
  const [left, top] = [Math.min(...xs) - 30, Math.min(...ys) - 26];
  const [width, height] = [Math.max(...xs) + 30 - left, Math.max(...ys) + 26 - top];
  const svg = make("svg", { viewBox: `${left} ${top} ${width} ${height}`, role: "img", "aria-label": `Structure of ${smiles}`, class: "sketch" });
  const line = (one, other, dx = 0, dy = 0) => svg.append(make("line", {
    x1: one.x + dx, y1: one.y + dy, x2: other.x + dx, y2: other.y + dy, stroke: "#1b2430", "stroke-width": 1.3, "stroke-linecap": "round",
  }));
  /* A bond ends before the text of an atom. */
  const shorten = (from, to) => {
    const length = Math.hypot(to.x - from.x, to.y - from.y) || 1, gap = from.text ? 7 : 0;
    return { x: from.x + ((to.x - from.x) / length) * gap, y: from.y + ((to.y - from.y) / length) * gap };
  };
  for (const [first, second, kind] of bonds) {
    const one = shorten(points[first], points[second]), other = shorten(points[second], points[first]);
    const length = Math.hypot(other.x - one.x, other.y - one.y) || 1;
    const across = [-(other.y - one.y) / length, (other.x - one.x) / length];
    if (kind === 6)
      svg.append(make("polygon", { points: `${one.x},${one.y} ${other.x + 3 * across[0]},${other.y + 3 * across[1]} ${other.x - 3 * across[0]},${other.y - 3 * across[1]}`, fill: "#1b2430" }));
    else if (kind === 7)
      for (let step = 1; step <= 6; step++) {
        const middle = { x: one.x + ((other.x - one.x) * step) / 6, y: one.y + ((other.y - one.y) * step) / 6 }, half = step / 2;
        line({ x: middle.x - half * across[0], y: middle.y - half * across[1] }, { x: middle.x + half * across[0], y: middle.y + half * across[1] });
      }
    else {
      const shifts = { 2: [-1.8, 1.8], 3: [-3, 0, 3] }[kind] || [0];
      for (const shift of shifts) line(one, other, shift * across[0], shift * across[1]);
    }
  }
  for (const [at, point] of points.entries()) {
    if (!point.text) continue;
    const around = bonds.filter(([one, other]) => one === at || other === at).map(([one, other]) => points[one === at ? other : one]);
    svg.append(...writeAtom(point, around).map(([attributes, parts]) => {
      const text = make("text", { "font-size": 12, ...attributes });
      let before = 0;
      for (const [written, shift] of parts) {
        text.append(make("tspan", { dy: shift - before, "font-size": shift ? 8.5 : 12 }, written));
        before = shift;
      }
      return text;
    }));
  }
  return svg;
};

/* Data that have molecules, of a task or a policy, with these unpacked as `structures`. */
BOOM.loadMolecules = async (key) => {
  const data = await BOOM.load(key);
  data.structures ??= JSON.parse(await BOOM.unpackText(data.molecules));
  return data;
};

BOOM.loadTask = (place) => BOOM.loadMolecules(`tasks/${place}/task`);

BOOM.loadPredictions = async (place, model) => {
  const file = await BOOM.load(`tasks/${place}/${model}`);
  file.values ??= await BOOM.unpackNumbers(file.y);
  return file;
};
