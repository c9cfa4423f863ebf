"use strict";
/* The page on cost against accuracy. */
BOOM.begin(async (board) => {
  const { fill, find, h, formatNumber } = BOOM, ALL = "all";
  const runs = await BOOM.load("runs"), schemes = Object.keys(board.schemes);
  const state = new BOOM.State({ scheme: schemes[0], task: ALL, sort: "seconds", down: "" }, draw);
  const mean = (values) => values.reduce((sum, each) => sum + each, 0) / values.length;

  /* A row a model that has both: seconds, mean over the runs that count, and the error. */
  function select(view) {
    const task = state.get("task"), at = view.tasks.indexOf(task);
    return view.ranking.filter(({ model }) => !board.models[model].control).flatMap((row) => {
      const own = runs.filter((run) => run.model === row.model && run.scheme === state.get("scheme") &&
        (task === ALL || run.task === task) && run.status === "done" && run.seconds[0] !== null);
      const cell = task === ALL ? row.normalised : view.values.ood?.rmse?.[row.model]?.[at];
      if (!own.length || !cell || cell[0] === null) return [];
      const seconds = mean(own.map((run) => run.seconds[0]));
      return [{
        model: row.model, label: board.models[row.model].label, seconds, error: cell[0], text: cell[1],
        time: own.length === 1 ? own[0].seconds[1] : formatNumber(seconds),
        memory: Math.max(...own.map((run) => Number(run.peak_memory_mib) || 0)), devices: [...new Set(own.map((run) => run.device))].join(", "),
      }];
    });
  }

  /* Those that no other one beats in both, the fastest first. */
  function findFront(rows) {
    const front = [];
    for (const row of [...rows].sort((one, other) => one.seconds - other.seconds || one.error - other.error))
      if (!front.length || row.error < front.at(-1).error) front.push(row);
    return front;
  }

  async function draw() {
    state.choose("scheme", schemes);
    state.choose("sort", ["seconds", "label", "error", "memory"]);
    const view = board.schemes[state.get("scheme")], task = state.choose("task", [ALL, ...view.tasks]);
    const described = board.tasks.find((each) => each.name === task);
    BOOM.redraw("choices", () => fill("choices",
      state.menu("scheme", "Split", schemes.map((name) => [name, board.schemes[name].title])),
      state.menu("task", "Task", [[ALL, "all tasks"], ...view.tasks.map((name) => [name, name])])));
    const rows = select(view), front = findFront(rows), onFront = new Set(front.map((row) => row.model));
    const error = described ? `OOD RMSE (${described.unit})` : "Normalised OOD RMSE";
    const all = view.ranking.filter(({ model }) => !board.models[model].control).length;
    const shown = rows.length < all ? ` ${rows.length} of ${all} models: the others ${described ? `have no result on ${task}` : "lack a task"}, or nobody has measured their time.` : "";
    find("caption").textContent = `${error}${described ? ` on ${task}` : ", geometric mean over all tasks"}, over the mean seconds of a training. ` +
      `Both scales are logarithmic; the line is the front.${shown}`;
    const narrow = window.innerWidth < 640;
    const points = (name, chosen, mark, symbol, labelled = false) => ({
      // beneath the front there is no point, so that its labels are free to stand there; the others tell their names when pointed at
      type: "scatter", mode: labelled ? "markers+text" : "markers", name, x: chosen.map((row) => row.seconds), y: chosen.map((row) => row.error),
      text: chosen.map((row) => row.label), textposition: "bottom center", textfont: { size: 11 }, cliponaxis: false,
      customdata: chosen.map((row) => [row.time, row.text]), hovertemplate: "<b>%{text}</b><br>%{customdata[0]} s<br>error %{customdata[1]}<extra></extra>",
      marker: { size: 10, color: BOOM.colour(mark), symbol },
    });
    const traces = [
      { type: "scatter", mode: "lines", x: front.map((row) => row.seconds), y: front.map((row) => row.error), line: { color: BOOM.colour("mark-id"), width: 1.5, shape: "hv" }, hoverinfo: "skip", showlegend: false },
      points("on the front", rows.filter((row) => onFront.has(row.model)), "mark-id", "circle", !narrow),
      points("beaten in both", rows.filter((row) => !onFront.has(row.model)), "mark-valid", "diamond"),
    ];
    const sort = state.get("sort"), down = state.get("down") === "1", ordered = BOOM.order(rows, (row) => row[sort], down);
    const columns = [
      { title: "Model", kind: "model", sort: "label" }, { title: "Seconds", kind: "number", sort: "seconds", tip: "Of a training, mean over tasks and seeds" },
      { title: `${error}\u00a0↓`, kind: "number", sort: "error" }, { title: "Front", kind: "text" }, { title: "Memory (MiB)", kind: "number", sort: "memory", tip: "The most that any of them took" }, { title: "Device", kind: "text" },
    ];
    BOOM.redraw("board", () => fill("board", BOOM.table({
      caption: find("caption").textContent, columns,
      rows: ordered.map((row) => [h("a", { href: `model.html#model=${row.model}` }, row.label), row.time, row.text, onFront.has(row.model) ? "on it" : "", row.memory ? Math.round(row.memory).toLocaleString("en") : "—", row.devices]),
      sort: { by: sort, down, change: (by) => state.set({ sort: by, down: sort === by && !down ? "1" : "" }) },
    })));
    const chart = find("chart");
    document.documentElement.dataset.ready = "1";
    if (!rows.length) {
      window.Plotly?.purge(chart);
      chart.replaceChildren(h("p", { class: "hint" }, "No model has finished all that this view needs."));
      return null;
    }
    chart.querySelector(".hint")?.remove();
    await BOOM.chart(chart, traces, {
      xaxis: BOOM.logAxis("Seconds of a training", rows.map((row) => row.seconds)), yaxis: BOOM.logAxis(BOOM.plain(error), rows.map((row) => row.error)),
    });
    return null;
  }

  return BOOM.withTheme(draw);
});
