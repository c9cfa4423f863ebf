"use strict";
/* The page of a model. */
BOOM.begin(async (board) => {
  const { fill, find, h, link } = BOOM;
  const names = Object.keys(board.models), runs = await BOOM.load("runs");
  const state = new BOOM.State({ model: names.find((name) => !board.models[name].control) ?? names[0], task: "" }, draw);
  let drawn = 0, switched = false;

  function describe(name, { variant_of: base, class: of }) {
    const link = base in board.models ? h("a", { href: `model.html#model=${base}` }, board.models[base].label) : h("code", {}, base);
    return [h("code", {}, name), base ? [", a variant of ", link] : [], ", of the class ", h("code", {}, of)].flat();
  }

  function drawFacts(model) {
    const facts = [["Family", model.family], ["Size", model.size || "—"], ["Needs", model.needs], ["Start", model.start], ["Features", model.features.join(", ") || "—"], ["Licence", model.licence || "—"]];
    fill("facts", facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
    const described = [["Source", model.source], ["Method", model.citation ? link(model.citation) : "—"], ["Class", h("code", {}, `boomlib.models.${model.class}`)]];
    fill("descriptor", described.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
    find("parameters").textContent = model.parameters;
  }

  function drawResults(name) {
    const folds = ["id", "ood", "ood_tail", "ood_interior"], rows = [];
    for (const [scheme, view] of Object.entries(board.schemes))
      for (const [at, task] of view.tasks.entries()) {
        const cell = (fold, metric) => view.values[fold]?.[metric]?.[name]?.[at] ?? null;
        const seeds = view.seeds[name]?.[task], none = `${task}: ${BOOM.tellLack(view, name, task)}`;
        const unit = board.tasks.find((each) => each.name === task).unit;
        rows.push([
          h("a", { href: `task.html#${new URLSearchParams({ task, scheme, models: name })}` }, `${task} (${unit})`), scheme,
          view.places[name]?.[at] ?? "—",
          ...folds.map((fold) => {
            const found = cell(fold, "rmse");
            return {
              text: found ? found[1] : "—", lost: !found, best: Boolean(view.best[fold]?.[name]?.[at]),
              tip: found ? `${task}, ${board.folds[fold]}: ${found[1]} ${unit}; 95 % interval ${found[2] || "—"}${seeds ? `; ${seeds}` : ""}` : none,
            };
          }),
          ...["ood_id_ratio", "normalised_rmse"].map((metric) => {
            const found = cell("ood", metric);
            return found ? found[1] : { text: "—", lost: true, tip: none };
          }),
        ]);
      }
    const columns = [
      { title: "Task", kind: "model" }, { title: "Split", kind: "text" }, { title: "Rank", kind: "number", tip: "By the RMSE on OOD, among those that are no controls" },
      ...folds.map((fold) => ({ title: `${board.folds[fold]}\u00a0↓`, kind: "number" })),
      { title: "OOD / ID\u00a0↓", kind: "number" }, { title: "Norm. OOD\u00a0↓", kind: "number", tip: "OOD RMSE divided by that of always predicting the mean of train" },
    ];
    fill("results", BOOM.table({ caption: "RMSE on all tasks", columns, rows }));
  }

  function drawRuns(name) {
    const own = runs.filter((run) => run.model === name), where = document.documentElement.dataset.predictions;
    const memory = (run) => (run.peak_memory_mib ? `${Math.round(run.peak_memory_mib).toLocaleString("en")} MiB` : "—");
    const rows = own.map((run) => [
      run.task, run.scheme, run.seed, { text: run.status, tip: run.reason, lost: run.status !== "done" }, run.seconds[1],
      run.peak_gpu_memory_mib ? `${memory(run)}, ${Math.round(run.peak_gpu_memory_mib).toLocaleString("en")} MiB of the GPU` : memory(run),
      run.device ?? "—", run.threads ?? "—", run.epochs ? `${run.epochs} (${run.epoch_kept} kept)` : "—", run.commit ?? "—",
      { text: run.versions ? "versions" : "—", tip: run.versions },
      where && run.predictions ? h("a", { href: where + run.predictions, download: true, "aria-label": `Predictions of ${run.task}, ${run.scheme}, seed ${run.seed}` }, "Parquet") : "—",
    ]);
    const columns = ["Task", "Split", "Seed", "Status", "Seconds", "Memory", "Device", "Threads", "Epochs", "Commit", "Packages", "Predictions"]
      .map((title) => ({ title, kind: ["Seed", "Seconds", "Threads"].includes(title) ? "number" : "text" }));
    fill("runs", BOOM.table({ caption: "Trainings: time, memory and where", columns, rows }));
    const failed = own.filter((run) => run.status === "failed" || run.end_of_log);
    find("logs-section").hidden = !failed.length;
    fill("logs", failed.map((run) => h("details", {}, h("summary", {}, `${run.task}, ${run.scheme}, seed ${run.seed}: ${run.status}`),
      h("p", {}, run.reason ?? ""), run.log ? h("p", { class: "hint" }, h("code", {}, run.log)) : null,
      run.end_of_log ? h("pre", { tabindex: "0" }, run.end_of_log) : null)));
  }

  async function drawErrors(name, turn) {
    const errors = await BOOM.load(`models/${name}`), places = Object.keys(errors);
    if (turn !== drawn) return;
    find("more").hidden = !places.length;
    if (!places.length) return;
    if (switched && !places.includes(state.get("task"))) state.note({ task: "" }); // the model before had it
    switched = false;
    const place = state.choose("task", places), at = place.lastIndexOf("/"), task = place.slice(0, at), scheme = place.slice(at + 1);
    const unit = board.tasks.find((each) => each.name === task).unit;
    BOOM.redraw("errors-task", () => fill("errors-task", state.menu("task", "Task and split", places.map((each) => [each, each]))));
    find("to-task").href = `task.html#${new URLSearchParams({ task, scheme, models: name })}`;
    const columns = ["", "ID, n", "ID ↓", "OOD, n", "OOD ↓"].map((title, index) => ({ title: title || "Has", kind: index ? "number" : "model" }));
    for (const kind of ["elements", "groups"])
      fill(kind, BOOM.table({ caption: `RMSE (${unit})`, columns, rows: errors[place][kind] }));
    const [data, predictions] = await Promise.all([BOOM.loadTask(place), BOOM.loadPredictions(place, name)]);
    if (turn !== drawn) return;
    const residuals = [...predictions.values].map((value, index) => value - data.y[index]);
    const sorted = [...residuals].sort((one, other) => one - other);
    const ends = [0.005, 0.995].map((share) => sorted[Math.round(share * (sorted.length - 1))]);
    const size = (ends[1] - ends[0]) / 60 || 1;
    const traces = [["i", "ID", "mark-id"], ["o", "OOD", "mark-ood"]].map(([sign, title, mark]) => ({
      type: "histogram", name: title, histnorm: "percent", opacity: 0.6, marker: { color: BOOM.colour(mark) }, hovertemplate: `${title}: %{y:.1f} %<extra></extra>`,
      x: residuals.filter((_, index) => data.fold[index] === sign).map((each) => Math.max(ends[0], Math.min(ends[1], each))),
      xbins: { start: ends[0], end: ends[1] + size, size },
    }));
    await BOOM.chart(find("residuals"), traces, {
      barmode: "overlay", xaxis: BOOM.axis(BOOM.plain(`Predicted minus true (${unit})`), { zeroline: true, zerolinecolor: BOOM.colour("soft") }),
      yaxis: BOOM.axis("Molecules (%)"),
    });
    document.documentElement.dataset.ready = String(turn);
  }

  async function draw() {
    const turn = ++drawn, name = state.choose("model", names), model = board.models[name];
    BOOM.redraw("choices", () => fill("choices", state.menu("model", "Model", names.map((each) => [each, board.models[each].label]), (value) => {
      switched = true;
      return { model: value };
    })));
    find("title").textContent = model.label;
    BOOM.entitle(model.label);
    fill("text", model.control ? "A control: it bounds the leaderboard and is not ranked."
      : model.external ? "Made elsewhere: its predictions of the blinded task were handed in." : describe(name, model));
    drawFacts(model);
    drawResults(name);
    drawRuns(name);
    await drawErrors(name, turn);
  }

  return BOOM.withTheme(draw);
});
