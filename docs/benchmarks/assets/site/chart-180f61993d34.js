"use strict";
/* Charts by plotly, in the colours of the page. */
BOOM.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Okabe and Ito's palette, which people with any colour vision tell apart
BOOM.PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a8a8a"];
BOOM.DASHES = ["solid", "dash", "dot", "dashdot"];
BOOM.SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "star"];

/* Call `draw` now and whenever the system turns dark or light. */
BOOM.withTheme = (draw) => {
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => BOOM.show(draw));
  return draw();
};

BOOM.axis = (title, more = {}) => ({
  title: { text: title, standoff: 8, font: { size: 13 } }, gridcolor: BOOM.colour("line"), zeroline: false,
  linecolor: BOOM.colour("line"), tickcolor: BOOM.colour("line"), automargin: true, ...more,
});

/* A logarithmic axis over `values`, whose ticks are whole numbers and not the last digit alone. */
BOOM.logAxis = (title, values, more = {}) => {
  const found = values.filter((value) => value > 0), low = Math.min(...found), high = Math.max(...found);
  const room = Math.max(0.05, 0.1 * Math.log10(high / low)); // for labels of points at an end
  const range = found.length ? { range: [Math.log10(low) - room, Math.log10(high) + room] } : {};
  return BOOM.axis(title, { type: "log", nticks: window.innerWidth < 640 ? 4 : 7, tickformat: ",.3~r", ...range, ...more });
};

/* Draw `traces` in `place`; `layout` differs from the common one where it says so. */
BOOM.chart = async (place, traces, layout) => {
  await BOOM.loadLibrary();
  const common = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 56, r: 12, t: 12, b: 48 },
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: BOOM.colour("soft") },
    hoverlabel: { bgcolor: BOOM.colour("raised"), bordercolor: BOOM.colour("line"), font: { color: BOOM.colour("ink"), size: 13 } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, hovermode: "closest",
    dragmode: window.matchMedia("(pointer: coarse)").matches ? false : "zoom",
  };
  const texts = (value) => (typeof value === "string" ? BOOM.plain(value) : value);
  // plotly reads some markup in texts: what comes from data is to have none
  const named = traces.map((trace) => ({
    ...trace, name: texts(trace.name), text: Array.isArray(trace.text) ? trace.text.map(texts) : texts(trace.text),
  }));
  await window.Plotly.react(place, named, { ...common, ...layout }, { displayModeBar: false, responsive: true });
  return place;
};

/* The arrow keys go through `points` of the chart in `place`, from the largest `error` to the smallest, and `show` each; returns
   the first of them. `at` is the place in that order of the one that is shown already. */
BOOM.followKeys = (place, points, error, show, at = -1) => {
  const ordered = [...points].sort((one, other) => error(other) - error(one));
  place.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    at = Math.max(0, Math.min(ordered.length - 1, at + step));
    show(ordered[at]);
  };
  return ordered[0];
};

/* Forget what has not come near yet: a page does so before it shows something else. */
BOOM.forgetFar = () => BOOM.far?.disconnect();

/* Draw each part, a map from places of the page to what draws them, once its place comes near to what is seen of the page,
   or when the page is printed. Resolves when those that are near now are drawn; an error of one leaves the others alone. */
BOOM.whenNear = (parts) => new Promise((resolve) => {
  const pending = new Map(parts);
  const observer = new IntersectionObserver((entries) => {
    const near = entries.filter((entry) => entry.isIntersecting);
    resolve(Promise.all(near.map((entry) => draw(entry.target))).then(() => BOOM.loadLibrary()));
  }, { rootMargin: "10%" });
  async function draw(place) {
    const part = pending.get(place);
    if (!pending.delete(place)) return;
    observer.unobserve(place);
    try {
      await part();
      if (BOOM.far === observer) place.dataset.drawn = "yes";
    } catch (error) {
      if (BOOM.far === observer) BOOM.complain(error);
    }
  }
  BOOM.forgetFar();
  BOOM.far = observer;
  window.onbeforeprint = () => [...pending.keys()].forEach(draw);
  for (const place of parts.keys()) {
    place.dataset.drawn = "no";
    observer.observe(place);
  }
});

/* Text of data for titles and labels of a chart, without markup. */
BOOM.plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
