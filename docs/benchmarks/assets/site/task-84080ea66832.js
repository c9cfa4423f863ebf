"use strict";
/* The page of a task. */
BOOM.begin((board) => {
  const { fill, find, h } = BOOM;
  const names = board.tasks.map((task) => task.name), schemes = Object.keys(board.schemes);
  const state = new BOOM.State({ task: names[0], scheme: schemes[0], models: "", fold: "ood", hardest: "10", sort: "ood", down: "" }, draw);
  const MOST = 4;
  let drawn = 0;

  const labelOf = (model) => board.models[model].label;

  function drawChoices(described, view) {
    BOOM.redraw("choices", () => fill("choices",
      state.menu("task", "Task", board.tasks.map((task) => [task.name, `${task.name}: ${task.label}`]), (value) => ({ task: value, hardest: "10" })),
      state.menu("scheme", "Split", schemes.map((name) => [name, board.schemes[name].title]), (value) => ({ scheme: value, hardest: "10" }))));
    find("title").textContent = `${described.name}: ${described.label}`;
    BOOM.entitle(described.name);
    find("text").textContent = `${described.dataset}; in ${described.unit}; ${described.kind}. ${view.text}`;
  }

  function drawFacts(task) {
    const titles = { train: "Train", valid: "Valid", id: "ID", ood: "OOD" };
    const facts = Object.entries(task.sizes).map(([fold, size]) => [titles[fold], size]);
    fill("facts", [...facts, ["Split", task.split || "—"]].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  function drawResults(view, at) {
    const folds = ["id", "ood", "ood_tail", "ood_interior"];
    const cell = (fold, metric, model) => view.values[fold]?.[metric]?.[model]?.[at] ?? null;
    const none = (model, what) => `${labelOf(model)}, ${what}: ${BOOM.tellLack(view, model, state.get("task"))}`;
    const tell = (model, fold) => {
      const found = cell(fold, "rmse", model), size = view.sizes[fold][at].toLocaleString("en");
      if (!found) return none(model, board.folds[fold]);
      return `${labelOf(model)}, ${board.folds[fold]}: ${found[1]}; 95 % interval ${found[2] || "—"}; ${size} molecules`;
    };
    const others = { ratio: ["ood", "ood_id_ratio"], mae: ["ood", "mae"], binned: ["ood", "r2_binned"] };
    const sort = state.choose("sort", ["model", ...folds, ...Object.keys(others)]), down = state.get("down") === "1";
    const worth = (model) => (sort === "model" ? labelOf(model).toLowerCase() : cell(...(others[sort] ?? [sort, "rmse"]), model)?.[0] ?? null);
    const models = BOOM.order(view.ranking.map((row) => row.model), worth, down, (model) => board.models[model].control);
    const rest = (metric, model) => {
      const found = cell("ood", metric, model);
      return found ? found[1] : { text: "—", lost: true, tip: none(model, `${board.metrics[metric].label}, ${board.folds.ood}`) };
    };
    const rows = models.map((model) => [
      h("a", { href: `model.html#model=${model}` }, labelOf(model)),
      view.places[model]?.[at] ?? "—",
      ...folds.map((fold) => {
        const found = cell(fold, "rmse", model);
        return { text: found ? found[1] : "—", tip: tell(model, fold), lost: !found, best: Boolean(view.best[fold]?.[model]?.[at]) };
      }),
      ...Object.values(others).map(([, metric]) => rest(metric, model)),
    ]);
    const columns = [
      { title: "Model", kind: "model", sort: "model" }, { title: "Rank", kind: "number", tip: "By the RMSE on OOD, among those that are no controls" },
      ...folds.map((fold) => ({ title: `${board.folds[fold]}\u00a0↓`, kind: "number", sort: fold, tip: "RMSE; lower is better" })),
      { title: "OOD / ID\u00a0↓", kind: "number", sort: "ratio" }, { title: "MAE, OOD\u00a0↓", kind: "number", sort: "mae" },
      { title: "R² binned, OOD\u00a0↑", kind: "number", sort: "binned" },
    ];
    const classes = models.map((model) => (board.models[model].control ? "control" : ""));
    const change = (by) => {
      state.note({ sort: by, down: sort === by ? (down ? "" : "1") : by === "binned" ? "1" : "" });
      drawResults(view, at);
    };
    BOOM.redraw("results", () => fill("results", BOOM.table({
      caption: `RMSE, and other metrics on OOD; ${view.title}`, columns, rows, classes, sort: { by: sort, down, change },
    })));
  }

  function chooseModels(task, view) {
    const ranked = view.ranking.map((row) => row.model).filter((model) => task.models.includes(model));
    const given = state.list("models"), there = given.filter((model) => ranked.includes(model)), asked = there.slice(0, MOST);
    const absent = given.filter((model) => !ranked.includes(model));
    if (there.length > MOST) BOOM.stray(`${MOST} models at most are shown; left out: ${there.slice(MOST).map(labelOf).join(", ")}.`);
    if (absent.length) BOOM.stray(`No predictions of this task: ${absent.map((model) => board.models[model]?.label ?? model).join(", ")}.`);
    const at = view.tasks.indexOf(state.get("task"));
    const best = ranked.filter((model) => !board.models[model].control)
      .sort((one, other) => (view.values.ood?.rmse?.[one]?.[at]?.[0] ?? Infinity) - (view.values.ood?.rmse?.[other]?.[at]?.[0] ?? Infinity));
    const chosen = asked.length ? asked : best.slice(0, 2);
    BOOM.redraw("models", () => fill("models", h("legend", {}, `Models, at most ${MOST}`), ranked.map((model) =>
      BOOM.tick(labelOf(model), chosen.includes(model), (on) => {
        const next = on ? [...chosen, model] : chosen.filter((each) => each !== model);
        state.set({ models: next.join(" ") });
      }, chosen.includes(model) ? chosen.length === 1 : chosen.length === MOST))));
    return chosen;
  }

  async function drawParity(described, task, place, chosen, turn) {
    const files = await Promise.all(chosen.map((model) => BOOM.loadPredictions(place, model)));
    if (turn !== drawn) return;
    const card = find("molecule");
    card.replaceChildren(h("p", { class: "hint" }, "Point at a molecule."));
    const parity = new BOOM.Parity(board, described, task, card);
    fill("parity", chosen.map((model) => h("figure", {},
      h("figcaption", {}, h("b", {}, labelOf(model)), board.models[model].control ? ", a control" : ""),
      h("div", { class: "chart square", id: `parity-${model}`, tabindex: "0", role: "group",
        "aria-label": `Predicted against true values of ${labelOf(model)}. The arrow keys walk through the molecules from the largest error.` }))));
    for (const [index, model] of chosen.entries()) {
      await parity.draw(find(`parity-${model}`), model, files[index]);
      if (turn !== drawn) return;
    }
    if (task.hardest.length) parity.show(task.hardest[0].at);
  }

  function drawHardest(described, task) {
    const wanted = Number(state.get("hardest")) || 10;
    const shown = task.hardest.filter((each, index) => (wanted > 10 ? index < wanted : each.listed));
    fill("hardest", shown.map((each) => {
      const fold = task.fold[each.at] === "i" ? "ID" : "OOD";
      return h("li", { class: "card" },
        h("div", { class: "structure" }, BOOM.molecule(task.structures, each.at)),
        h("p", {}, h("b", { class: fold.toLowerCase() }, fold), each.suspect ? h("b", { class: "suspect" }, " suspect label") : "",
          h("span", { class: "hint" }, ` ${each.name}`)),
        h("dl", {}, h("dt", {}, "Label"), h("dd", {}, each.label), h("dt", {}, "Median"), h("dd", {}, each.median),
          h("dt", {}, "Range"), h("dd", {}, each.range), h("dt", {}, "Error / RMSE"), h("dd", {}, each.error)),
        h("p", { class: "smiles" }, h("code", {}, task.structures.smiles[each.at])));
    }));
    if (!shown.length) fill("hardest", h("li", { class: "hint" }, "No molecule is missed by most models by their RMSE or more."));
    BOOM.redraw("show-more", () => fill("show-more", wanted < task.hardest.length
      ? h("button", { type: "button", click: () => state.set({ hardest: String(Math.min(task.hardest.length, wanted < 50 ? 50 : 200)) }) },
        `Show ${Math.min(task.hardest.length, wanted < 50 ? 50 : 200)}`)
      : null));
    if (!find("show-more").childElementCount && document.activeElement === document.body && wanted > 10) find("hardest").focus({ preventScroll: true });
  }

  function drawDistribution(described, task) {
    const { edges, counts } = task.histogram, tallest = Math.max(...Object.values(counts).flat()), log = tallest > 100;
    const titles = { train: "train", valid: "valid", id: "ID", ood: "OOD" };
    const traces = Object.entries(counts).map(([fold, heights]) => ({
      type: "scatter", mode: "lines", name: titles[fold], x: edges, y: [...heights, heights.at(-1)].map((each) => each || (log ? 0.5 : 0)),
      line: { shape: "hv", width: fold === "train" ? 0 : 1.8, color: BOOM.colour(`mark-${fold}`) },
      fill: fold === "train" ? "tozeroy" : "none", fillcolor: BOOM.colour("mark-train"),
      text: [...heights, heights.at(-1)].map((each) => `${titles[fold]}: ${each}`), hoverinfo: "x+text",
    }));
    return BOOM.chart(find("distribution"), traces, {
      xaxis: BOOM.axis(BOOM.plain(`${described.label} (${described.unit})`)),
      yaxis: BOOM.axis("Molecules", log ? { type: "log", range: [Math.log10(0.7), Math.log10(tallest * 1.3)], dtick: 1 } : { rangemode: "tozero" }),
    });
  }

  function drawDifferences(task) {
    const { models, folds } = task.differences, fold = state.choose("fold", ["id", "ood"]);
    BOOM.redraw("differences-fold", () => fill("differences-fold", state.menu("fold", "Fold", [["ood", "OOD"], ["id", "ID"]])));
    const rows = models.map((row, at) => [labelOf(row), ...models.map((column, other) => {
      const cell = folds[fold][at][other];
      if (!cell) return at === other ? { text: "" } : { text: "—", lost: true, tip: `${labelOf(row)} and ${labelOf(column)} cannot be told apart here` };
      const kind = cell[1] < 0 ? "▼" : cell[0] > 0 ? "▲" : "=";
      const word = { "▼": "better", "▲": "worse", "=": "not told apart" }[kind];
      return { text: `${cell[2]} ${kind}`, tip: `${labelOf(row)} less ${labelOf(column)}: ${cell[2]}, 95 % interval ${cell[3]}: ${word}`,
        style: kind === "▼" ? "--good: 0.6" : null };
    })]);
    const columns = [{ title: "Model", kind: "model" }, ...models.map((model) => ({ title: labelOf(model), kind: "number" }))];
    fill("differences", BOOM.table({ caption: `Difference of the RMSE on ${board.folds[fold]}`, columns, rows }));
  }

  function drawUncertainty(found) {
    find("uncertainty-section").hidden = !found;
    if (!found) return;
    const draw = (id, caption, { columns, rows }, texts) => fill(id, BOOM.table({
      caption, rows, columns: columns.map((title, at) => ({ title, kind: at === 0 ? "model" : at < texts ? "text" : "number" })),
    }));
    draw("intervals", `Intervals that promise ${found.promise} of the labels`, found.intervals, 3);
    draw("flags", "How well flags tell OOD from ID", found.flags, 2);
  }

  function drawCurves(described, task) {
    const traces = Object.entries(task.curves).map(([model, [epochs, errors]], index) => ({
      type: "scatter", mode: "lines+markers", name: labelOf(model), x: epochs, y: errors,
      line: { color: BOOM.PALETTE[index % BOOM.PALETTE.length], dash: BOOM.DASHES[Math.floor(index / BOOM.PALETTE.length) % 4], width: 1.8 },
      marker: { symbol: BOOM.SYMBOLS[index % BOOM.SYMBOLS.length], size: 6 },
    }));
    return BOOM.chart(find("curves"), traces, {
      xaxis: BOOM.axis("Epoch", { rangemode: "tozero" }), yaxis: BOOM.logAxis(BOOM.plain(`RMSE on valid (${described.unit})`), Object.values(task.curves).flatMap(([, errors]) => errors)),
    });
  }

  async function draw() {
    BOOM.forgetFar();
    const turn = ++drawn, name = state.choose("task", names), scheme = state.choose("scheme", schemes);
    const described = board.tasks[names.indexOf(name)], view = board.schemes[scheme], place = `${name}/${scheme}`;
    drawChoices(described, view);
    drawResults(view, view.tasks.indexOf(name));
    const made = board.answered.includes(place);
    find("more").hidden = find("facts").hidden = !made;
    if (!made) return;
    const task = await BOOM.loadTask(place);
    if (turn !== drawn) return;
    drawFacts(task);
    drawHardest(described, task);
    drawDifferences(task);
    drawUncertainty(task.uncertainty);
    const chosen = chooseModels(task, view);
    find("curves-section").hidden = !Object.keys(task.curves).length;
    await BOOM.whenNear(new Map([
      [find("parity-section"), () => drawParity(described, task, place, chosen, turn)],
      [find("distribution"), () => drawDistribution(described, task)],
      [find("curves-section"), () => drawCurves(described, task)],
    ]));
    document.documentElement.dataset.ready = String(turn);
  }

  return BOOM.withTheme(draw);
});
