"use strict";
/* Tables: headers that sort, cells that the arrow keys move through. */

/* A table. `columns` are {title, tip, sort, kind}; `rows` arrays of cells, each an element, a text, or {text, tip, style, best}. */
BOOM.table = ({ caption, columns, rows, sort, classes = [] }) => {
  const { h } = BOOM;
  const head = columns.map((column) => {
    const sorted = sort && column.sort && sort.by === column.sort ? (sort.down ? "descending" : "ascending") : null;
    const title = column.sort
      ? h("button", { type: "button", click: () => sort.change(column.sort), "data-tip": column.tip }, column.title,
          sorted && h("span", { class: "way", "aria-hidden": "true" }, sorted === "ascending" ? "▲" : "▼"))
      : column.title;
    return h("th", { scope: "col", "aria-sort": sorted, class: column.kind, "data-tip": column.sort ? null : column.tip }, title);
  });
  const body = rows.map((row, index) => h("tr", { class: classes[index] },
    row.map((cell, at) => BOOM.cell(cell, at === 0, columns[at].kind))));
  const table = h("table", {}, h("caption", {}, h("span", {}, caption)), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body));
  BOOM.walk(table);
  return table;
};

BOOM.cell = (cell, first, kind) => {
  const { h } = BOOM, tag = first ? "th" : "td", given = { class: kind, scope: first ? "row" : null };
  if (cell === null || cell === undefined) return h(tag, given);
  if (typeof cell !== "object" || cell instanceof Node) return h(tag, given, cell);
  const text = cell.best ? h("b", {}, cell.text) : cell.text;
  const classes = [kind, cell.lost && "lost"].filter(Boolean).join(" ");
  return h(tag, { ...given, class: classes || null, "data-tip": cell.tip, style: cell.style }, text);
};

/* Rows in the order of their values, smallest first or last; those without one come after them, and those that are set
   apart, as controls are, after all. Rows that are alike stay as they stood. */
BOOM.order = (rows, valueOf, down, isApart = () => false) => [...rows].sort((one, other) => {
  const apart = Number(isApart(one)) - Number(isApart(other)), [a, b] = [valueOf(one), valueOf(other)];
  if (apart) return apart;
  if (a === null || b === null) return (a === null) - (b === null);
  return (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1);
});

/* One stop of the tab key for all cells that have a tip; the arrow keys go on from there. */
BOOM.walk = (table) => {
  const cells = [...table.querySelectorAll("tbody [data-tip]")].filter((cell) => cell.matches("td, th"));
  cells.forEach((cell, index) => { cell.tabIndex = index ? -1 : 0; });
  table.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const from = event.target;
    if (!step || !cells.includes(from)) return;
    event.preventDefault();
    let row = from.parentElement.rowIndex, column = from.cellIndex;
    for (;;) {
      row += step[0];
      column += step[1];
      const next = table.rows[row]?.cells[column];
      if (!next || row < 1) return;
      if (cells.includes(next)) {
        from.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
        next.scrollIntoView({ block: "nearest", inline: "nearest" });
        return;
      }
    }
  });
};
