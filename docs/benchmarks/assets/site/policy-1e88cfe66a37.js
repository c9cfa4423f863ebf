"use strict";
/* NL-MTP's page. */
BOOM.begin((board) => {
  const { fill, find, h } = BOOM;
  const POPULATIONS = { train: ["train", "mark-valid", "dot"], "held out": ["held out (valid and ID)", "mark-id", "solid"], ood: ["OOD", "mark-ood", "dash"] };
  const RATIOS = { density: "mixture density", classifier: "classifier" };
  const state = new BOOM.State({ run: board.policies[0] ?? "", sort: "environment", down: "" }, draw);
  let drawn = 0;

  function nameRun(stem) {
    const [dataset, property, scheme, model, seed] = stem.split("/");
    return `${dataset}/${property}, ${scheme}, ${board.models[model].label}, ${seed.replace("seed", "seed ")}`;
  }

  function drawSweep(data) {
    const { shift, low, high, means, slope } = data.sweep, at = Object.keys(means);
    const traces = [
      { type: "scatter", mode: "lines", x: [...shift, ...[...shift].reverse()], y: [...high, ...[...low].reverse()], fill: "toself", fillcolor: BOOM.colour("mark-id"), opacity: 0.15, line: { width: 0 }, name: "middle 90 %", hoverinfo: "skip" },
      { type: "scatter", mode: "lines", x: shift, y: shift.map((each) => slope * each), name: "straight", line: { color: BOOM.colour("soft"), dash: "dash", width: 1 }, hoverinfo: "skip" },
      ...at.map((name) => ({
        type: "scatter", mode: "lines+markers", name: POPULATIONS[name][0], x: shift, y: means[name],
        line: { color: BOOM.colour(POPULATIONS[name][1]), dash: POPULATIONS[name][2] }, hovertemplate: "δ %{x:.1f} Da: %{y:.3g}",
      })),
    ];
    return BOOM.chart(find("sweep"), traces, {
      shapes: [{ type: "line", x0: data.shift, x1: data.shift, yref: "paper", y0: 0, y1: 1, line: { dash: "dot", width: 1, color: BOOM.colour("soft") } }],
      xaxis: BOOM.axis("δ (Da)", { zeroline: true, zerolinecolor: BOOM.colour("line") }), yaxis: BOOM.axis(BOOM.plain(`Mean contrast (${data.unit})`)),
    });
  }

  function drawEffects(data) {
    const columns = ["Population", "Density ratio", "n", `Contrast (${data.unit})`, "95 % interval", "Effective sample size", "Abstention"]
      .map((title, index) => ({ title, kind: index < 2 ? "text" : "number" }));
    const rows = data.estimates.map((each) => [POPULATIONS[each.population][0], RATIOS[each.ratio], each.n.toLocaleString("en"), each.text, each.interval, each.size, each.abstention]);
    fill("effects", BOOM.table({ caption: `One CH₂: δ = ${data.shift} Da`, columns, rows }));
    const others = ["δ (Da)", "n", "α", "Policy − observed", "Linearity R²"]; // what the table has not, of the molecules held out
    fill("facts", data.effects.filter(([name]) => others.includes(name)).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  function drawPairs(data) {
    const { columns, rows, points } = data.pairs;
    fill("pair-table", BOOM.table({ caption: `Agreement with the pairs, in ${data.unit}`, columns: columns.map((title, index) => ({ title, kind: index ? "number" : "text" })), rows }));
    find("pair-note").textContent = `${points.length.toLocaleString("en")} pairs are drawn; point at one to see its molecules, or walk by the arrow keys from the largest error.`;
    return drawPoints("pairs", points, data);
  }

  async function drawPoints(place, points, data) {
    let [low, high] = [Infinity, -Infinity];
    for (const [truth, contrast] of points) [low, high] = [Math.min(low, truth, contrast), Math.max(high, truth, contrast)];
    const traces = [[0, "one of them in train", "mark-valid", "circle"], [1, "neither in train", "mark-id", "diamond"]].map(([unseen, name, mark, symbol]) => {
      const own = points.filter((point) => point[2] === unseen);
      return {
        type: own.length > 2000 ? "scattergl" : "scatter", mode: "markers", name, x: own.map((point) => point[0]), y: own.map((point) => point[1]),
        customdata: own, hoverinfo: "none",
        marker: { color: BOOM.colour(mark), size: 6, opacity: 0.6, symbol },
      };
    });
    find(place).closest("figure").hidden = !points.length;
    if (!points.length) return null;
    const ring = { type: "scatter", mode: "markers", x: [], y: [], hoverinfo: "skip", showlegend: false, cliponaxis: false, marker: { size: 13, symbol: "circle-open", color: BOOM.colour("ink"), line: { width: 2 } } };
    await BOOM.chart(find(place), [...traces, ring], {
      shapes: [{ type: "line", x0: low, x1: high, y0: low, y1: high, layer: "below", line: { width: 1, color: BOOM.colour("soft") } }],
      xaxis: BOOM.axis(BOOM.plain(`True difference (${data.unit})`)), yaxis: BOOM.axis(BOOM.plain(`Contrast (${data.unit})`)),
    });
    followPoints(place, points, data);
    return null;
  }

  /* Below the chart stands the pair of the largest error, then that which is pointed at or reached by the arrow keys. */
  function followPoints(place, points, data) {
    const chart = find(place);
    const show = ([truth, contrast, unseen, from, to]) => {
      const { smiles } = data.structures, draw = (at) => h("span", { class: "structure" }, BOOM.molecule(data.structures, at));
      fill(`${place}-shown`, draw(from), h("span", { "aria-hidden": "true" }, "→"), draw(to));
      fill(`${place}-said`, h("code", {}, smiles[from]), " → ", h("code", {}, smiles[to]),
        `: true ${BOOM.formatNumber(truth)}, contrast ${BOOM.formatNumber(contrast)} ${data.unit}; ${unseen ? "neither in train" : "one of them in train"}`);
      window.Plotly.restyle(chart, { x: [[truth]], y: [[contrast]] }, [2]);
    };
    chart.removeAllListeners?.("plotly_hover");
    chart.on("plotly_hover", (event) => show(event.points[0].customdata));
    const said = find(`${place}-said`);
    said.ariaLive = "off"; // nobody has asked for the first pair
    show(BOOM.followKeys(chart, points, ([truth, contrast]) => Math.abs(contrast - truth), show, 0));
    requestAnimationFrame(() => { said.ariaLive = "polite"; });
  }

  function drawSupport(place, { edges, shares }, threshold, names) {
    const traces = Object.entries(shares).map(([name, share]) => ({
      type: "scatter", mode: "lines", name: POPULATIONS[name][0], x: edges, y: [...share, share.at(-1)], hoverinfo: "skip",
      line: { shape: "hv", color: BOOM.colour(POPULATIONS[name][1]), dash: POPULATIONS[name][2], width: 1.8 },
    }));
    return BOOM.chart(find(place), traces, {
      shapes: [{ type: "line", x0: threshold, x1: threshold, yref: "paper", y0: 0, y1: 1, line: { dash: "dash", width: 1.2, color: BOOM.colour("ink") } }],
      xaxis: BOOM.axis(names[0]), yaxis: BOOM.axis(names[1], { rangemode: "tozero" }),
    });
  }

  function drawKinds({ kinds, random }, unit) {
    const facts = { "Any place as likely: contrast": `${random.contrast} ${unit}`, "95 % interval": random.interval, "Effective sample size": random.size, Abstention: random.abstention };
    fill("place-facts", Object.entries(facts).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
    const columns = ["What it changes of the context", "Places (%)", "Mean support", "Abstention (%)", `Mean contrast (${unit})`]
      .map((title, index) => ({ title, kind: index ? "number" : "text" }));
    fill("place-table", BOOM.table({
      caption: "Places of molecules held out, the commonest kinds; support and contrast of all of them, refused ones too", columns,
      rows: kinds.map((row) => [row.kind, row.share.toFixed(1), row.support.toFixed(3), row.abstention.toFixed(1), row.contrast]),
    }));
  }

  /* The table of places, and what draws their charts. */
  function drawPlaces(data) {
    const { places } = data;
    find("places-section").hidden = !places;
    if (!places) return [];
    drawKinds(places, data.unit);
    return [
      () => drawPoints("place-pairs", places.points, data),
      () => drawSupport("place-support", places.support, data.threshold, ["Support at the place", "Places (%)"]),
    ];
  }

  function drawEnvironments(data) {
    const rows = data.environments, sort = state.get("sort"), down = state.get("down") === "1";
    const ordered = BOOM.order(rows, (row) => row[sort], down);
    const columns = [
      { title: "Environment", kind: "number", sort: "environment" }, { title: "Molecules", kind: "number", sort: "n" }, { title: "Mean support", kind: "number", sort: "support" },
      { title: "Abstention (%)", kind: "number", sort: "abstention" }, { title: "Commonest scaffolds (molecules)", kind: "text why" },
    ];
    BOOM.redraw("environment-table", () => fill("environment-table", BOOM.table({
      caption: "Molecules held out, by environment", columns,
      rows: ordered.map((row) => [String(row.environment), row.n.toLocaleString("en"), row.support.toFixed(3), row.abstention.toFixed(1), row.scaffolds]),
      sort: { by: sort, down, change: (by) => {
        state.note({ sort: by, down: sort === by && !down ? "1" : "" });
        drawEnvironments(data);
      } },
    })));
    return BOOM.chart(find("environments"), [{
      type: "bar", x: rows.map((row) => row.environment), y: rows.map((row) => row.abstention), marker: { color: BOOM.colour("mark-id") },
      text: rows.map((row) => `${row.n} molecules`), textposition: "none", hovertemplate: "environment %{x}: %{y:.1f} %, %{text}<extra></extra>",
    }], { xaxis: BOOM.axis("Environment"), yaxis: BOOM.axis("Abstention (%)", { rangemode: "tozero" }) });
  }

  async function draw() {
    const turn = ++drawn;
    find("none").hidden = Boolean(board.policies.length);
    find("more").hidden = find("controls").hidden = !board.policies.length;
    if (!board.policies.length) return;
    const stem = state.choose("run", board.policies);
    state.choose("sort", ["environment", "n", "support", "abstention"]);
    BOOM.redraw("choices", () => fill("choices", state.menu("run", "Run", board.policies.map((each) => [each, nameRun(each)]))));
    const [data, { structures }] = await Promise.all([BOOM.load(`policies/${stem}`), BOOM.loadMolecules(`pairs/${stem.split("/").slice(0, 3).join("/")}`)]);
    data.structures = structures;
    if (turn !== drawn) return;
    drawEffects(data);
    const parts = [
      () => drawSweep(data),
      () => drawPairs(data),
      () => drawSupport("support", data.support, data.threshold, ["Support s(x, a, δ)", "Molecules (%)"]),
      () => drawEnvironments(data),
      ...drawPlaces(data),
    ];
    for (const part of parts) {
      await part();
      if (turn !== drawn) return;
    }
    document.documentElement.dataset.ready = String(turn);
  }

  return BOOM.withTheme(draw);
});
