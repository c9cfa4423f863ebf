"use strict";
/* What every page stands on: data on demand, elements of plain text, numbers, the tip at what is pointed at. */
const BOOM = (() => {
  const arrived = {}, waiting = {};

  /* A file of data hands over its value; see boomlib/report/site/script.py. */
  function give(key, value) {
    arrived[key] = value;
  }

  /* The value of data/{key}.js, a promise: a page that is opened from disk may load scripts and fetch nothing. */
  function load(key) {
    waiting[key] ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `data/${key.split("/").map(encodeURIComponent).join("/")}.js`;
      script.onload = () => { script.remove(); resolve(arrived[key]); };
      script.onerror = () => {
        delete waiting[key]; // to be tried again
        reject(new Error(`data/${key}.js cannot be read`));
      };
      document.head.append(script);
    });
    return waiting[key];
  }

  /* The library of charts, which lies where the page says, once it is needed. */
  function loadLibrary() {
    waiting[" library"] ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = document.documentElement.dataset.library;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${script.src} cannot be read`));
      document.head.append(script);
    });
    return waiting[" library"];
  }

  async function inflate(packed) {
    const bytes = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async function unpackText(packed) {
    return new TextDecoder().decode(await inflate(packed));
  }

  /* The numbers of pack_numbers: all first bytes, then all second ones and so on. */
  async function unpackNumbers(packed) {
    const planes = await inflate(packed), n = planes.length / 4, bytes = new Uint8Array(planes.length);
    for (let plane = 0; plane < 4; plane++)
      for (let index = 0; index < n; index++) bytes[4 * index + plane] = planes[plane * n + index];
    return new Float32Array(bytes.buffer);
  }

  /* An element; what is no element among the children is text, whatever it holds, and a handler is a function. */
  function h(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (typeof value === "function") element.addEventListener(name, value);
      else if (name.startsWith("on")) throw new Error(`${name} is no text`);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  }

  function find(id) {
    return document.getElementById(id);
  }

  function fill(id, ...children) {
    find(id).replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  }

  /* A link to an address of the web, or plain text of anything else. */
  function link(address) {
    return /^https?:\/\//.test(address) ? h("a", { href: address, rel: "noreferrer" }, address) : address;
  }

  /* Three significant digits, as format_number of boomlib/report/numbers.py writes them. */
  function formatNumber(value) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "—";
    const power = value ? Number(value.toExponential(2).split("e")[1]) : 0;
    if (power >= -5 && power < 6) return value.toFixed(value ? Math.max(0, 2 - power) : 0);
    return `${(value / 10 ** power).toFixed(2)}e${power}`;
  }

  /* Why `model` has no result on `task`, by what the board has of a scheme. */
  function tellLack(view, model, task) {
    const lost = view.lost[model]?.[task] ?? [];
    return `no result. ${lost.map(([seed, status, reason]) => `seed ${seed}, ${status}: ${reason}`).join(". ") || "It is not defined here."}`;
  }

  function quote(cell) {
    const text = String(cell ?? "");
    // a spreadsheet takes a text that begins so for a formula
    const plain = typeof cell === "string" && /^[=+@\t\r-]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  }

  /* Save rows of cells, numbers with all their digits, as a CSV file. */
  function saveTable(name, rows) {
    const text = rows.map((row) => row.map(quote).join(",") + "\n").join("");
    const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    h("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  }

  /* Whatever has data-tip shows it while it is pointed at or has the focus. */
  function followTips() {
    const tip = find("tip");
    let owner = null;
    const hide = () => {
      tip.hidden = true;
      owner?.removeAttribute("aria-describedby");
      owner = null;
    };
    const place = () => {
      const at = owner.getBoundingClientRect(), size = tip.getBoundingClientRect();
      const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - size.width - 8));
      const below = at.bottom + 6 + size.height < window.innerHeight;
      tip.style.left = `${left}px`;
      tip.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - size.height - 6)}px`;
    };
    const show = (event) => {
      const target = event.target.closest?.("[data-tip]");
      if (target === owner) return;
      hide();
      if (!target) return;
      owner = target;
      tip.textContent = target.dataset.tip;
      tip.hidden = false;
      owner.setAttribute("aria-describedby", "tip");
      place();
    };
    const follow = () => owner && (owner === document.activeElement ? place() : hide());
    document.addEventListener("mouseover", show);
    document.addEventListener("focusin", show);
    document.addEventListener("scroll", follow, true);
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  }

  /* The title of the page, with the name of the publication where it is of one. */
  function entitle(text) {
    document.title = [text, "BOOM", document.documentElement.dataset.name].filter(Boolean).join(" – ");
  }

  function say(text) {
    find("notice").textContent = text;
    find("notice").hidden = false;
  }

  /* Say what the address asks for that is not here. */
  function stray(text) {
    const place = find("astray");
    place.append(h("p", {}, text));
    place.hidden = false;
  }

  /* Say on the page what went wrong, beside what else there is to say. */
  function complain(error) {
    find("trouble").textContent = `A part of this page cannot be shown: ${error.message}`;
    find("trouble").hidden = false;
    console.error(error);
  }

  /* Show something else by `draw`, without what went wrong before. */
  async function show(draw) {
    find("trouble").hidden = find("astray").hidden = true;
    fill("astray");
    try {
      await draw();
    } catch (error) {
      complain(error);
    }
  }

  /* Begin a page once the board is there. */
  async function begin(page) {
    followTips();
    find("name").textContent = document.documentElement.dataset.name;
    entitle(document.title.replace(/ – BOOM$/, ""));
    await show(async () => {
      const board = await load("board");
      if (board.lost || board.others.length) {
        const runs = board.lost ? `${board.lost} of ${board.runs} runs have no result. ` : "";
        say(`Not finished: ${runs || "a table or a figure is lacking. "}Ranks and best models are not final.`);
      }
      fill("footer",
        h("p", {}, board.making.replaceAll("**", "")),
        h("p", {}, "Configuration ", h("code", {}, board.config), board.versions ? `; ${board.versions}.` : "."));
      if (!board.policies.length) document.querySelector('nav a[href="policy.html"]:not([aria-current])')?.parentElement.remove();
      await page(board);
    });
  }

  return { begin, complain, entitle, fill, find, formatNumber, give, h, link, load, loadLibrary, saveTable, show, stray, tellLack, unpackNumbers, unpackText };
})();
