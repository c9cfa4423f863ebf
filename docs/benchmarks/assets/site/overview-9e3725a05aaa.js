"use strict";
/* The overview: models by tasks, in the reader's choice of fold, metric, models and weights. */
BOOM.begin((board) => {
  const { fill, find, h, formatNumber } = BOOM;
  const schemes = Object.keys(board.schemes), tasks = board.tasks.map((task) => task.name);
  const named = Object.fromEntries(board.tasks.map((task) => [task.name, task]));
  const models = Object.values(board.models);
  const unique = (values) => [...new Set(values)].sort();
  const state = new BOOM.State({
    scheme: schemes[0], fold: "ood", metric: "rmse", units: "native", heat: "1", controls: "1", find: "",
    family: "", needs: "", start: "", external: "", tasks: "", weights: "", sort: "rank", down: "",
  }, draw);

  const search = h("input", { type: "search", id: "find", input: () => state.set({ find: search.value }) });

  /* Which tasks count, with their weights. */
  function weigh() {
    const ticked = state.list("tasks").filter((task) => tasks.includes(task));
    const given = Object.fromEntries(state.list("weights").map((each) => each.split(":")));
    return Object.fromEntries((ticked.length ? ticked : tasks)
      .map((task) => [task, Math.max(0, Number(given[task] ?? 1)) || 0]));
  }

  const isOwn = () => Boolean(state.get("tasks") || state.get("weights"));
  const metricOf = () => (state.get("units") === "normalised" ? "normalised_rmse" : state.get("metric"));

  function cellOf(view, model, task, metric = metricOf(), fold = state.get("fold")) {
    return view.values[fold]?.[metric]?.[model]?.[view.tasks.indexOf(task)] ?? null;
  }

  /* The geometric mean over tasks of the normalised error, with weights; null where a task that counts is lacking. */
  function score(view, model, weights) {
    const fold = state.get("fold"), untold = view.untold[fold] || [];
    let sum = 0, total = 0;
    for (const [task, weight] of Object.entries(weights)) {
      if (!weight || untold[view.tasks.indexOf(task)]) continue;
      const cell = cellOf(view, model, task, "normalised_rmse");
      if (!cell) return null;
      sum += weight * Math.log(cell[0]);
      total += weight;
    }
    return total ? Math.exp(sum / total) : null;
  }

  function isShown(name) {
    const model = board.models[name], wanted = (key, value) => !state.get(key) || state.list(key).includes(value);
    const text = state.get("find").toLowerCase();
    if (text && !`${name} ${model.label}`.toLowerCase().includes(text)) return false;
    if (model.control) return state.get("controls") === "1";
    return wanted("family", model.family) && wanted("external", model.external ? "yes" : "no") &&
      wanted("start", model.pretrained ? "pretrained" : "scratch") &&
      (!state.get("needs") || model.kinds.some((need) => state.list("needs").includes(need.replaceAll(" ", "_"))));
  }

  /* How good values of a column are, 1 the best and 0 the worst, by model; nothing of controls. */
  function shade(view, names, task) {
    const direction = board.metrics[state.get("metric")].direction;
    if (direction === "none") return {};
    const bad = (value) => (direction === "max" ? -value : direction === "zero" ? Math.abs(value) : value);
    const found = names.filter((name) => !board.models[name].control && cellOf(view, name, task))
      .map((name) => [name, bad(cellOf(view, name, task)[0])]);
    const positive = found.every(([, value]) => value > 0);
    const scaled = found.map(([name, value]) => [name, positive ? Math.log(value) : value]);
    const values = scaled.map(([, value]) => value), low = Math.min(...values), high = Math.max(...values);
    return Object.fromEntries(scaled.map(([name, value]) => [name, high > low ? (high - value) / (high - low) : 1]));
  }

  function tellCell(view, name, task, cell) {
    const lost = view.lost[name]?.[task] || [], why = lost.map(([seed, status, reason]) => `seed ${seed}, ${status}: ${reason}`);
    const at = `${board.models[name].label}, ${task}, ${board.folds[state.get("fold")]}`;
    if (!cell) return `${at}: no result. ${why.join(". ") || "It is not defined here."}`;
    const unit = state.get("units") === "native" && board.metrics[state.get("metric")].unit ? ` ${named[task].unit}` : "";
    const n = view.sizes[state.get("fold")][view.tasks.indexOf(task)];
    const interval = cell[2] ? `; 95 % interval ${cell[2]}` : "";
    const seeds = view.seeds[name]?.[task] ? `; ${view.seeds[name][task]}` : "";
    return `${at}: ${cell[1]}${unit}${interval}; ${n.toLocaleString("en")} molecules${seeds}`;
  }

  /* What the table shows, in its order: rows of {name, model, numbers by column}. */
  function select() {
    const view = board.schemes[state.get("scheme")], weights = weigh();
    const rows = view.ranking.filter((row) => isShown(row.model)).map((row, at) => ({
      ...row, at, name: row.model, described: board.models[row.model], own: score(view, row.model, weights),
    }));
    const key = state.get("sort"), down = state.get("down") === "1";
    const valueOf = {
      model: (row) => row.described.label.toLowerCase(),
      needs: (row) => row.described.needs,
      rank: (row) => row.at,
      mean: (row) => row.rank[0], normalised: (row) => row.normalised[0], ratio: (row) => row.ratio[0],
      own: (row) => row.own,
    }[key] ?? ((row) => cellOf(view, row.name, key)?.[0] ?? null);
    const zero = key in named && state.get("units") === "native" && board.metrics[state.get("metric")].direction === "zero";
    rows.sort((one, other) => {
      if (one.described.control !== other.described.control) return one.described.control ? 1 : -1;
      let [a, b] = [valueOf(one), valueOf(other)];
      if (a === null || b === null) return (a === null) - (b === null) || one.at - other.at;
      if (zero) [a, b] = [Math.abs(a), Math.abs(b)];
      return (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1) || one.at - other.at;
    });
    return { view, weights, rows, shown: view.tasks.filter((task) => task in weights) };
  }

  const changeSort = (by) => {
    const first = by in named && board.metrics[state.get("metric")].direction === "max" && state.get("units") === "native" ? "1" : "";
    const same = state.get("sort") === by;
    state.set({ sort: by, down: same ? (state.get("down") ? "" : "1") : first });
  };

  function drawTable() {
    const { view, rows, shown } = select(), metric = board.metrics[state.get("metric")];
    const fold = state.get("fold"), normalised = state.get("units") === "normalised";
    const compared = view.best[fold] && (state.get("metric") === "rmse");
    const arrow = normalised ? "↓" : metric.arrow;
    const columns = [
      { title: "Model", sort: "model", kind: "model" },
      { title: "Needs", sort: "needs", kind: "text", tip: "What a model needs of a new molecule" },
      { title: "Mean rank\u00a0↓", sort: "mean", kind: "number", tip: "Of the OOD RMSE among the models that finished every task that ranks anybody; lower is better" },
      { title: "Norm. OOD\u00a0↓", sort: "normalised", kind: "number", tip: "Geometric mean over tasks of the OOD RMSE divided by that of always predicting the mean of train; lower is better" },
      { title: "OOD / ID\u00a0↓", sort: "ratio", kind: "number", tip: "Mean over tasks of the RMSE on OOD divided by the RMSE on ID; lower is better" },
      ...(isOwn() ? [{ title: "Your ranking ↓", sort: "own", kind: "number", tip: `Geometric mean, with your weights, of the normalised error on ${board.folds[fold]}; lower is better` }] : []),
      ...shown.map((task) => ({
        title: `${task}\u00a0${arrow}`, sort: task, kind: "number task",
        tip: `${named[task].label}${normalised ? "" : metric.unit ? `, ${named[task].unit}` : ""}; ${metric.hint}`,
      })),
    ];
    const names = rows.map((row) => row.name);
    const shades = Object.fromEntries(shown.map((task) => [task, state.get("heat") === "1" ? shade(view, names, task) : {}]));
    const body = rows.map((row) => [
      h("a", { href: `model.html#model=${row.name}` }, row.described.label),
      row.described.needs, row.rank[1], row.normalised[1], row.ratio[1],
      ...(isOwn() ? [formatNumber(row.own)] : []),
      ...shown.map((task) => {
        const cell = cellOf(view, row.name, task), good = shades[task][row.name], at = view.tasks.indexOf(task);
        return {
          text: cell ? cell[1] : "—", tip: tellCell(view, row.name, task, cell), lost: !cell,
          best: Boolean(compared && view.best[fold][row.name]?.[at]),
          style: good === undefined ? null : `--good: ${good.toFixed(3)}`,
        };
      }),
    ]);
    const unit = normalised ? "normalised RMSE (1 = as always predicting the mean of train)" : metric.label;
    BOOM.redraw("board", () => fill("board", BOOM.table({
      caption: `${unit} on ${board.folds[fold]}, ${view.title}`, columns, rows: body,
      sort: { by: state.get("sort"), down: state.get("down") === "1", change: changeSort },
      classes: rows.map((row) => (row.described.control ? "control" : "")),
    })));
    fill("legend", compared
      ? "Bold: the best of a task and all that its molecules do not tell from it (95 % paired bootstrap interval of the difference holds 0). "
      : "Nobody is bold: models are compared by their RMSE on ID and OOD alone. ",
    "Controls, in italics, mark the ends of the scale and are not ranked. — is a result that does not exist.");
  }

  function drawChoices() {
    const ratio = state.get("fold") === "ood";
    const metrics = Object.entries(board.metrics).map(([name, metric]) =>
      [name, `${metric.label} ${metric.arrow}`, name === "ood_id_ratio" && !ratio]);
    if (search.value !== state.get("find")) search.value = state.get("find");
    BOOM.redraw("choices", () => fill("choices",
      state.menu("scheme", "Split", schemes.map((name) => [name, board.schemes[name].title])),
      state.menu("fold", "Fold", Object.entries(board.folds), (value) => ({
        fold: value, metric: value !== "ood" && state.get("metric") === "ood_id_ratio" ? "rmse" : state.get("metric"),
      })),
      state.menu("metric", "Metric", metrics, (value) => ({ metric: value, units: value === "rmse" ? state.get("units") : "native" })),
      state.menu("units", "Units", [["native", "of the property"], ["normalised", "normalised", state.get("metric") !== "rmse"]]),
      h("div", { class: "field" }, h("label", { for: "find" }, "Find a model"), search),
      h("div", { class: "ticks" }, state.box("heat", "Heat-map"), state.box("controls", "Controls"))));
  }

  function drawFilters() {
    const ours = models.filter((model) => !model.control);
    const needs = unique(ours.flatMap((model) => model.kinds)).map((need) => [need.replaceAll(" ", "_"), need]);
    BOOM.redraw("filter-sets", () => fill("filter-sets",
      state.boxes("family", "Family", unique(ours.map((model) => model.family)).map((name) => [name, name])),
      state.boxes("needs", "Needs", needs),
      state.boxes("start", "Start", [["scratch", "from scratch"], ["pretrained", "pretrained"]]),
      state.boxes("external", "Made", [["no", "here"], ["yes", "elsewhere (external)"]])));
    const set = ["family", "needs", "start", "external", "find"].filter((key) => state.get(key)).length;
    find("filter-count").textContent = set ? `${set} set` : "";
  }

  function drawWeights() {
    const weights = weigh();
    const change = (task, weight) => {
      const next = { ...weights };
      if (weight === null) delete next[task];
      else next[task] = weight;
      const ticked = tasks.filter((each) => each in next);
      const weighed = ticked.filter((each) => next[each] !== 1).map((each) => `${each}:${next[each]}`);
      const own = ticked.length && (ticked.length < tasks.length || weighed.length);
      state.set({
        tasks: ticked.length === tasks.length ? "" : ticked.join(" "), weights: weighed.join(" "),
        sort: own ? "own" : state.get("sort") === "own" ? "rank" : state.get("sort"), down: own ? "" : state.get("down"),
      });
    };
    BOOM.redraw("weight-tasks", () => fill("weight-tasks", tasks.map((task) => {
      const on = task in weights;
      const number = h("input", {
        type: "number", min: "0", max: "100", step: "0.5", value: on ? weights[task] : 1, disabled: !on,
        "aria-label": `Weight of ${task}`, change: () => change(task, Math.max(0, Number(number.value) || 0)),
      });
      return h("div", { class: "weight" },
        BOOM.tick(`${task}: ${named[task].label}`, on, (ticked) => change(task, ticked ? 1 : null)), number);
    })));
    find("weight-count").textContent = isOwn() ? `${Object.keys(weights).length} of ${tasks.length} tasks, your weights` : "";
  }

  function save() {
    const { view, rows, shown } = select(), own = isOwn();
    const header = ["model", "label", "needs", "mean_rank", "normalised_ood_rmse", "ood_id_ratio", ...(own ? ["own_ranking"] : []), ...shown];
    const body = rows.map((row) => [
      row.name, row.described.label, row.described.needs, row.rank[0], row.normalised[0], row.ratio[0],
      ...(own ? [row.own] : []), ...shown.map((task) => cellOf(view, row.name, task)?.[0]),
    ]);
    BOOM.saveTable(`boom-${state.get("scheme")}-${state.get("fold")}-${metricOf()}.csv`, [header, ...body]);
  }

  function drawActions() {
    const where = document.documentElement.dataset.predictions;
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(location.href);
        link.textContent = "Copied";
      } catch {
        link.textContent = "The link is the address above";
      }
    };
    const link = h("button", { type: "button", click: copy }, "Copy link");
    fill("actions",
      h("button", { type: "button", click: save }, "CSV of this view"), link,
      h("button", { type: "button", click: () => state.set({ ...state.defaults }) }, "Reset"),
      where ? h("a", { class: "button", href: where }, "Predictions") : null);
  }

  function drawFailures() {
    const rows = Object.entries(board.schemes).flatMap(([scheme, view]) =>
      Object.entries(view.lost).flatMap(([name, lost]) => Object.entries(lost).flatMap(([task, runs]) =>
        runs.map(([seed, status, reason]) => [
          h("a", { href: `model.html#model=${name}` }, board.models[name].label), task, scheme, seed, status, reason,
        ]))));
    rows.push(...board.others.map(([file, reason]) => [file, "", "", "", "missing", reason]));
    find("failures").hidden = !rows.length;
    const columns = ["Run", "Task", "Split", "Seed", "Status", "Reason"].map((title) => ({ title, kind: title === "Reason" ? "text why" : "text" }));
    if (rows.length) fill("failure-list", BOOM.table({ caption: "Runs without a result, and other files that are lacking", columns, rows }));
  }

  function draw() {
    state.choose("scheme", schemes);
    state.choose("fold", Object.keys(board.folds));
    state.choose("metric", Object.keys(board.metrics));
    if (state.get("metric") === "ood_id_ratio") state.values.fold = "ood";
    if (state.get("metric") !== "rmse") state.values.units = "native";
    find("scheme-text").textContent = board.schemes[state.get("scheme")].text;
    drawChoices();
    drawFilters();
    drawWeights();
    drawTable();
  }

  drawActions();
  drawFailures();
  draw();
});
