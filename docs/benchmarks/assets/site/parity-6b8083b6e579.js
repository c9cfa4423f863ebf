"use strict";
/* Charts of predicted against true values, with the molecule that is pointed at. */
BOOM.Parity = class {
  /* `board`, the `task` of the board and its data, and where the molecule is shown. */
  constructor(board, described, task, card) {
    Object.assign(this, { board, described, task, card, kept: null, shown: new Map() });
  }

  /* One chart, of `model`, in `place`; all of a page share the limits. */
  async draw(place, model, predictions) {
    const { task, described } = this, colour = BOOM.colour, values = predictions.values;
    this.shown.set(model, predictions);
    // a text is long: no Math.min(...values)
    let [low, high] = [Infinity, -Infinity];
    for (const y of task.y) [low, high] = [Math.min(low, y), Math.max(high, y)];
    const margin = 0.04 * (high - low) || 1, limits = [low - margin, high + margin];
    const inside = (index) => values[index] <= limits[1] && values[index] >= limits[0];
    const type = values.length > 3000 ? "scattergl" : "scatter";
    const traces = [["i", "ID", "mark-id"], ["o", "OOD", "mark-ood"]].map(([sign, name, mark]) => {
      const at = [...values.keys()].filter((index) => task.fold[index] === sign);
      return {
        type, mode: "markers", name, x: at.map((index) => task.y[index]), customdata: at, hoverinfo: "none",
        y: at.map((index) => Math.min(limits[1], Math.max(limits[0], values[index]))),
        marker: {
          color: colour(mark), size: values.length > 3000 ? 4 : 6, opacity: 0.65,
          // one symbol for all is drawn faster
          symbol: at.every(inside) ? "circle" : at.map((index) => (inside(index) ? "circle" : values[index] > limits[1] ? "triangle-up" : "triangle-down")),
        },
      };
    });
    traces.push({
      type: "scatter", mode: "markers", x: [], y: [], hoverinfo: "skip", showlegend: false, cliponaxis: false,
      marker: { size: 14, symbol: "circle-open", color: colour("ink"), line: { width: 2 } },
    });
    const shapes = [{ type: "line", x0: limits[0], x1: limits[1], y0: limits[0], y1: limits[1], line: { color: colour("soft"), width: 1 }, layer: "below" }];
    if (task.seen)
      shapes.unshift({ type: "rect", xref: "x", yref: "paper", x0: task.seen[0], x1: task.seen[1], y0: 0, y1: 1, fillcolor: colour("line"), opacity: 0.5, line: { width: 0 }, layer: "below" });
    const label = BOOM.plain(`${described.label} (${described.unit})`);
    await BOOM.chart(place, traces, {
      shapes, xaxis: BOOM.axis(`True ${label}`, { range: limits, nticks: 6 }), yaxis: BOOM.axis(`Predicted ${label}`, { range: limits, nticks: 6 }),
    });
    place.limits = limits;
    place.removeAllListeners?.("plotly_hover");
    place.removeAllListeners?.("plotly_click");
    place.on("plotly_hover", (event) => this.kept === null && this.show(event.points[0].customdata));
    place.on("plotly_click", (event) => {
      const at = event.points[0].customdata;
      this.kept = this.kept === at ? null : at;
      this.show(at);
    });
    BOOM.followKeys(place, values.keys(), (at) => Math.abs(values[at] - task.y[at]), (at) => this.show(at));
  }

  /* Show one molecule in the card and in all charts. */
  show(at) {
    const { h, formatNumber } = BOOM, { task, described } = this;
    const fold = task.fold[at] === "i" ? "ID" : "OOD", unit = described.unit;
    this.card.replaceChildren(
      h("div", { class: "structure" }, BOOM.molecule(task.structures, at)),
      h("p", { class: "smiles" }, h("code", {}, task.structures.smiles[at])),
      h("dl", {},
        h("dt", {}, "Fold"), h("dd", { class: fold.toLowerCase() }, fold),
        h("dt", {}, "Label"), h("dd", {}, `${formatNumber(task.y[at])} ${unit}`),
        [...this.shown].flatMap(([model, { values }]) => [
          h("dt", { class: "whole" }, this.board.models[model].label),
          h("dd", {}, `${formatNumber(values[at])} ${unit}, error ${formatNumber(values[at] - task.y[at])}`),
        ]),
        h("dt", {}, "Molecule"), h("dd", {}, String(task.id[at]))),
      this.kept === at ? h("p", { class: "hint" }, "Kept: click it again to let go.") : "");
    for (const [model, { values }] of this.shown) {
      const place = BOOM.find(`parity-${model}`), limits = place?.limits;
      if (limits) window.Plotly.restyle(place, { x: [[task.y[at]]], y: [[Math.min(limits[1], Math.max(limits[0], values[at]))]] }, [2]);
    }
  }
};
