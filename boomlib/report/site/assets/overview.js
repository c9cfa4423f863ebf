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

  const HEAVIEST = 100, limitWeight = (weight) => Math.min(HEAVIEST, Math.max(0, Number(weight))) || 0;

  /* Which tasks count, with their weights; `draw` leaves in the address tasks that are there alone. */
  function weigh() {
    const ticked = state.list("tasks");
    const given = Object.fromEntries(state.list("weights").map((each) => each.split(":")));
    return Object.fromEntries((ticked.length ? ticked : tasks).map((task) => [task, limitWeight(given[task] ?? 1)]));
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

  /* How good values of a column are, 1 the best, by model; nothing of controls. 0 are the worst, and all that are further
     behind the median than twice what the best is ahead of it, so that one that is far off leaves the others apart. */
  function shade(view, names, task) {
    const direction = board.metrics[state.get("metric")].direction;
    if (direction === "none") return {};
    const bad = (value) => (direction === "max" ? -value : direction === "zero" ? Math.abs(value) : value);
    const found = names.filter((name) => !board.models[name].control && cellOf(view, name, task))
      .map((name) => [name, bad(cellOf(view, name, task)[0])]);
    const positive = found.every(([, value]) => value > 0);
    const scaled = found.map(([name, value]) => [name, positive ? Math.log(value) : value]);
    const values = scaled.map(([, value]) => value).sort((one, other) => one - other);
    const low = values[0], middle = values[Math.floor(values.length / 2)], most = values.at(-1);
    const high = middle > low ? Math.min(most, middle + 2 * (middle - low)) : most;
    return Object.fromEntries(scaled.map(([name, value]) => [name, high > low ? Math.max(0, (high - value) / (high - low)) : 1]));
  }

  function tellCell(view, name, task, cell) {
    const at = `${board.models[name].label}, ${task}, ${board.folds[state.get("fold")]}`;
    if (!cell) return `${at}: ${BOOM.tellLack(view, name, task)}`;
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
    const worth = (row) => (zero && valueOf(row) !== null ? Math.abs(valueOf(row)) : valueOf(row));
    const ordered = BOOM.order(rows, worth, down, (row) => row.described.control);
    return { view, weights, rows: ordered, shown: view.tasks.filter((task) => task in weights) };
  }

  /* A mean over tasks, which has a reason where it does not exist. */
  function meanCell(row, [value, text], isRank) {
    if (value !== null) return text;
    const [has, all] = row.tasks.split(" of ");
    const lacking = has === all ? "It is not defined here" : `${row.described.label} has ${row.tasks} tasks; means are of models that have all`;
    return { text, lost: true, tip: isRank && row.described.control ? "A control, which is not ranked" : lacking };
  }

  /* The dataset in small letters, so that columns are as narrow as their numbers let them be. */
  function nameTask(task, arrow) {
    const at = task.lastIndexOf("/") + 1;
    return [h("span", { class: "dataset" }, task.slice(0, at)), h("wbr"), `${task.slice(at)}\u00a0${arrow}`];
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
    const arrow = normalised ? "↓" : metric.arrow, directed = normalised || metric.direction !== "none";
    const columns = [
      { title: "Model", sort: "model", kind: "model" },
      { title: "Needs", sort: "needs", kind: "text", tip: "What a model needs of a new molecule" },
      { title: "Mean rank\u00a0↓", sort: "mean", kind: "number", tip: "Of the OOD RMSE among the models that finished every task that ranks anybody; lower is better" },
      { title: "Norm. OOD\u00a0↓", sort: "normalised", kind: "number", tip: "Geometric mean over tasks of the OOD RMSE divided by that of always predicting the mean of train; lower is better" },
      { title: "OOD / ID\u00a0↓", sort: "ratio", kind: "number", tip: "Mean over tasks of the RMSE on OOD divided by the RMSE on ID; lower is better" },
      ...(isOwn() ? [{ title: "Your ranking ↓", sort: "own", kind: "number", tip: `Geometric mean, with your weights, of the normalised error on ${board.folds[fold]}; lower is better` }] : []),
      ...shown.map((task) => ({
        title: nameTask(task, arrow), sort: directed ? task : null, kind: "number task",
        tip: `${named[task].label}${normalised ? "" : metric.unit ? `, ${named[task].unit}` : ""}; ${metric.hint}`,
      })),
    ];
    const names = rows.map((row) => row.name);
    const shades = Object.fromEntries(shown.map((task) => [task, state.get("heat") === "1" ? shade(view, names, task) : {}]));
    const body = rows.map((row) => [
      h("a", { href: `model.html#model=${row.name}` }, row.described.label),
      row.described.needs, ...[row.rank, row.normalised, row.ratio].map((mean, at) => meanCell(row, mean, at === 0)),
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
    }), rows.length ? null : h("p", { class: "hint empty" }, "No model fits these filters.")));
    const ranked = view.ranking.filter((row) => !board.models[row.model].control);
    const whole = ranked.filter((row) => row.rank[0] !== null).length;
    fill("legend",
      whole < ranked.length ? `${whole} of ${ranked.length} models have all tasks and so a mean rank; the others have none. ` : "", compared
      ? "Bold: the best of a task and all whose error is not significantly larger (95 % paired bootstrap interval of the difference, over molecules, holds 0). "
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
    const among = (options, has) => options.filter(([value]) => ours.some((model) => has(model) === value));
    const sets = {
      family: ["Family", unique(ours.map((model) => model.family)).map((name) => [name, name])],
      needs: ["Needs", unique(ours.flatMap((model) => model.kinds)).map((need) => [need.replaceAll(" ", "_"), need])],
      start: ["Start", among([["scratch", "from scratch"], ["pretrained", "pretrained"]], (model) => (model.pretrained ? "pretrained" : "scratch"))],
      external: ["Made", among([["no", "here"], ["yes", "elsewhere (external)"]], (model) => (model.external ? "yes" : "no"))],
    };
    for (const [key, [, options]] of Object.entries(sets)) {
      state.keep(key, options.map(([value]) => value));
      if (options.length < 2) state.values[key] = ""; // there is nothing to choose
    }
    BOOM.redraw("filter-sets", () => fill("filter-sets", Object.entries(sets).map(([key, [label, options]]) => state.boxes(key, label, options))));
    const set = ["family", "needs", "start", "external", "find"].filter((key) => state.get(key)).length;
    find("filter-count").textContent = set ? `${set} set` : "";
  }

  /* A row a task, made once: while one types a weight its field has to stay. */
  const weightRows = Object.fromEntries(tasks.map((task) => {
    const change = (weight) => changeWeight(task, weight);
    const number = h("input", {
      type: "number", min: "0", max: String(HEAVIEST), step: "0.5", "aria-label": `Weight of ${task}`,
      input: () => change(number.value === "" ? 1 : limitWeight(number.value)), change: () => { number.value = weigh()[task] ?? 1; },
    });
    const tick = BOOM.tick(`${task}: ${named[task].label}`, true, (on) => change(on ? 1 : null));
    return [task, { tick: tick.querySelector("input"), number, row: h("div", { class: "weight" }, tick, number) }];
  }));

  /* The weight of a task is another one; null: it does not count. */
  function changeWeight(task, weight) {
    const next = weigh();
    if (weight === null) delete next[task];
    else next[task] = weight;
    const ticked = tasks.filter((each) => each in next);
    const weighed = ticked.filter((each) => next[each] !== 1).map((each) => `${each}:${next[each]}`);
    const own = ticked.length < tasks.length || weighed.length;
    state.set({
      tasks: ticked.length === tasks.length ? "" : ticked.join(" "), weights: weighed.join(" "),
      sort: own ? "own" : state.get("sort") === "own" ? "rank" : state.get("sort"), down: own || state.get("sort") === "own" ? "" : state.get("down"),
    });
  }

  function drawWeights() {
    const weights = weigh(), ticked = Object.keys(weights);
    for (const [task, { tick, number }] of Object.entries(weightRows)) {
      tick.checked = task in weights;
      tick.disabled = tick.checked && ticked.length === 1; // one has to count
      number.disabled = !tick.checked;
      const shown = number.value === "" ? 1 : limitWeight(number.value); // what is being typed may stand otherwise
      if (shown !== (weights[task] ?? 1) || number !== document.activeElement) number.value = weights[task] ?? 1;
    }
    const counted = ticked.filter((task) => weights[task]).length;
    find("weight-count").textContent = !isOwn() ? "" : counted ? `${counted} of ${tasks.length} tasks, your weights` : "all weights are 0: nothing to rank by";
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
        setTimeout(() => { link.textContent = "Copy link"; }, 2000);
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

  /* Tasks on which the same seeds of a model lack a result for one reason are one row. */
  function drawFailures() {
    const groups = new Map();
    for (const [scheme, view] of Object.entries(board.schemes))
      for (const [name, lost] of Object.entries(view.lost))
        for (const [task, runs] of Object.entries(lost)) {
          const alike = new Map();
          for (const [seed, status, reason] of runs) {
            const why = JSON.stringify([status, reason]);
            alike.set(why, [...(alike.get(why) ?? []), seed]);
          }
          for (const [why, seeds] of alike) {
            const key = JSON.stringify([scheme, name, why, seeds]), [status, reason] = JSON.parse(why);
            if (!groups.has(key)) groups.set(key, { scheme, name, status, reason, seeds, tasks: [] });
            groups.get(key).tasks.push(task);
          }
        }
    const rows = [...groups.values()].map(({ scheme, name, status, reason, tasks: lacking, seeds }) => [
      h("a", { href: `model.html#model=${name}` }, board.models[name].label),
      lacking.join(", "), scheme, seeds.join(", "), status, reason,
    ]);
    rows.push(...board.others.map(([file, reason]) => [file, "", "", "", "missing", reason]));
    find("failures").hidden = !rows.length;
    const columns = ["Model", "Tasks", "Split", "Seeds", "Status", "Reason"]
      .map((title) => ({ title, kind: ["Tasks", "Reason"].includes(title) ? "text why" : "text" }));
    if (rows.length) fill("failure-list", BOOM.table({ caption: "Runs without a result, and other files that are lacking", columns, rows }));
  }

  function draw() {
    state.choose("scheme", schemes);
    state.choose("fold", Object.keys(board.folds));
    state.choose("metric", Object.keys(board.metrics));
    if (state.get("metric") === "ood_id_ratio") state.values.fold = "ood";
    if (state.get("metric") !== "rmse") state.values.units = "native";
    find("scheme-text").textContent = board.schemes[state.get("scheme")].text;
    state.choose("units", ["native", "normalised"]);
    state.keep("tasks", tasks);
    state.keep("weights", state.list("weights").filter((each) => tasks.includes(each.split(":")[0])));
    const sortable = state.get("units") === "normalised" || board.metrics[state.get("metric")].direction !== "none";
    if (named[state.get("sort")] && !sortable) Object.assign(state.values, { sort: "rank", down: "" });
    state.choose("sort", ["rank", "model", "needs", "mean", "normalised", "ratio", ...(isOwn() ? ["own"] : []), ...tasks]);
    drawChoices();
    drawFilters();
    drawWeights();
    drawTable();
  }

  fill("weight-tasks", Object.values(weightRows).map(({ row }) => row));
  drawActions();
  drawFailures();
  draw();
});
