"use strict";
/* Charts by plotly, in the colours of the page. */
BOOM.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Okabe and Ito's palette, which people with any colour vision tell apart
BOOM.PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a8a8a"];
BOOM.DASHES = ["solid", "dash", "dot", "dashdot"];
BOOM.SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "star"];

/* Call `draw` now and whenever the system turns dark or light. */
BOOM.withTheme = (draw) => {
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return draw();
};

BOOM.axis = (title, more = {}) => ({
  title: { text: title, standoff: 8, font: { size: 13 } }, gridcolor: BOOM.colour("line"), zeroline: false,
  linecolor: BOOM.colour("line"), tickcolor: BOOM.colour("line"), automargin: true, ...more,
});

/* Draw `traces` in `place`; `layout` differs from the common one where it says so. */
BOOM.chart = async (place, traces, layout) => {
  await BOOM.loadLibrary();
  const common = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 56, r: 12, t: 12, b: 48 },
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: BOOM.colour("soft") },
    hoverlabel: { bgcolor: BOOM.colour("raised"), bordercolor: BOOM.colour("line"), font: { color: BOOM.colour("ink"), size: 13 } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, hovermode: "closest", dragmode: "zoom",
  };
  const texts = (value) => (typeof value === "string" ? BOOM.plain(value) : value);
  // plotly reads some markup in texts: what comes from data is to have none
  const named = traces.map((trace) => ({
    ...trace, name: texts(trace.name), text: Array.isArray(trace.text) ? trace.text.map(texts) : texts(trace.text),
  }));
  await window.Plotly.react(place, named, { ...common, ...layout }, { displayModeBar: false, responsive: true });
  return place;
};

/* Draw each part, a map from places of the page to what draws them, once its place comes near to what is seen of the page.
   Resolves when those that are near now are drawn; what an earlier call has not drawn yet is forgotten. */
BOOM.whenNear = (parts) => {
  BOOM.nearby?.disconnect();
  return new Promise((resolve, reject) => {
    BOOM.nearby = new IntersectionObserver((entries, observer) => {
      const near = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
      near.forEach((place) => observer.unobserve(place));
      Promise.all(near.map(async (place) => {
        await parts.get(place)();
        place.dataset.drawn = "yes";
      })).then(() => {
        resolve();
        BOOM.loadLibrary(); // before a chart that is further down needs it
      }, (error) => {
        BOOM.say(`A part of this page cannot be shown: ${error.message}`);
        reject(error);
        throw error;
      });
    }, { rootMargin: "10%" });
    for (const place of parts.keys()) {
      place.dataset.drawn = "no";
      BOOM.nearby.observe(place);
    }
  });
};

/* Text of data for titles and labels of a chart, without markup. */
BOOM.plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
