"use strict";
/* The state of a page in its address, behind the #, and the controls that change it. */
BOOM.State = class {
  /* `defaults` are texts by key; what differs from them is in the address. `changed` is called on each change. */
  constructor(defaults, changed) {
    this.defaults = defaults;
    this.changed = () => BOOM.show(changed);
    this.read();
    window.addEventListener("hashchange", () => {
      if (location.hash.slice(1) === this.write()) return;
      this.read();
      this.changed();
    });
  }

  read() {
    const given = new URLSearchParams(location.hash.slice(1));
    this.values = Object.fromEntries(Object.keys(this.defaults).map((key) => [key, given.get(key) ?? this.defaults[key]]));
  }

  write() {
    const shown = Object.entries(this.values).filter(([key, value]) => value !== this.defaults[key]);
    return new URLSearchParams(shown).toString();
  }

  get(key) {
    return this.values[key];
  }

  list(key) {
    return this.values[key] ? this.values[key].split(" ") : [];
  }

  set(changes) {
    this.note(changes);
    this.changed();
  }

  /* Changes that draw nothing: who makes them draws what they concern. */
  note(changes = {}) {
    Object.assign(this.values, changes);
    // as "#" alone the page would scroll to its top
    history.replaceState(null, "", `#${this.write() || "all"}`);
  }

  /* One of `allowed`, the first of them where the address says something else, which the page then says. */
  choose(key, allowed) {
    const given = this.values[key];
    if (!allowed.includes(given)) {
      this.values[key] = allowed.includes(this.defaults[key]) ? this.defaults[key] : allowed[0];
      if (given !== this.defaults[key]) this.correct(`Not here: ${key} “${given}”. This is ${this.values[key]}.`);
    }
    return this.values[key];
  }

  /* Leave of a list in the address those that are `allowed`; the page says which others it asks for. */
  keep(key, allowed) {
    const given = this.list(key), strange = given.filter((value) => !allowed.includes(value));
    this.values[key] = given.filter((value) => allowed.includes(value)).join(" ");
    if (strange.length) this.correct(`Not here: ${key} “${strange.join("”, “")}”.`);
  }

  correct(text) {
    BOOM.stray(text);
    this.note();
  }

  /* A menu; `options` are [value, text, disabled]. */
  menu(key, label, options, changes = (value) => ({ [key]: value })) {
    const { h } = BOOM;
    const menu = h("select", { id: `menu-${key}`, change: () => this.set(changes(menu.value)) });
    for (const [value, text, disabled] of options)
      menu.append(h("option", { value, disabled, selected: value === this.values[key] }, text));
    return h("div", { class: "field" }, h("label", { for: `menu-${key}` }, label), menu);
  }

  /* A box to tick for a key that is "1" or "". */
  box(key, label) {
    return BOOM.tick(label, this.values[key] === "1", (on) => this.set({ [key]: on ? "1" : "" }));
  }

  /* Boxes of which the ticked ones are a list in the address; none is all, and the last one stays ticked.
     `options` are [value, text]; of one alone there is nothing to choose. */
  boxes(key, label, options) {
    if (options.length < 2) return null;
    const { h } = BOOM, chosen = this.list(key), all = options.map(([value]) => value);
    const choose = (value, on) => {
      const next = all.filter((each) => (each === value ? on : !chosen.length || chosen.includes(each)));
      this.set({ [key]: next.length === all.length || !next.length ? "" : next.join(" ") });
    };
    const ticks = options.map(([value, text]) =>
      BOOM.tick(text, !chosen.length || chosen.includes(value), (on) => choose(value, on), chosen.length === 1 && chosen[0] === value));
    return h("fieldset", {}, h("legend", {}, label), ticks);
  }
};

BOOM.tick = (label, checked, changed, disabled = false) => {
  const box = BOOM.h("input", { type: "checkbox", checked, disabled, change: () => changed(box.checked) });
  return BOOM.h("label", { class: "tick" }, box, BOOM.h("span", {}, label));
};

/* Redraw `id` by `draw`, and give the focus back to the same control, found by its place. */
BOOM.redraw = (id, draw) => {
  const place = BOOM.find(id), inside = place.contains(document.activeElement);
  const controls = () => [...place.querySelectorAll("a, button, input, select, summary, [tabindex]")];
  const at = inside ? controls().indexOf(document.activeElement) : -1;
  draw();
  if (at >= 0) controls()[at]?.focus({ preventScroll: true });
};
