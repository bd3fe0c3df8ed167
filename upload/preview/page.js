// The preview page: what is in #data, by dataset, task, label and split. Text only ever becomes text, never markup.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const datasets = JSON.parse($("data").textContent).sort((a, b) => (a.domain < b.domain ? -1 : Number(a.domain > b.domain)));
  const number = (value) => value.toLocaleString("en-US");
  const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const FEW = 15; // labels of a task that are shown at once

  // An element: properties, `aria-...` and `role` as attributes, `on...` as listeners, then children or text.
  function el(tag, properties, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (/^(aria-|data-|role$|for$|scope$)/.test(name)) node.setAttribute(name, value);
      else node[name] = value;
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  }
  const shownValue = (value) => typeof value !== "object" ? String(value)
    : Array.isArray(value) && value.every((one) => typeof one !== "object") ? value.join(", ") : JSON.stringify(value);
  const dot = (split) => el("span", { className: `dot ${split}`, "aria-hidden": "true" });

  const served = $("data").dataset.served === "true"; // a server answers for all rows; see server.py
  const PAGE = 60; // rows of one answer

  // What is shown: a dataset, one of its tasks, filters by split, label and text, the page of rows (of a server), and the
  // number of the row that is open; `all` shows every label of a long list.
  const state = { dataset: datasets[0], task: datasets[0].tasks[0], split: null, label: null, text: "", offset: 0, row: null, all: false };
  let shown = []; // the rows on the page, in order
  let opener = null; // what had the focus when a row was opened

  // ---- The list of datasets, and the search in it -----------------------------------------------------------------
  function drawList() {
    const words = $("search").value.trim().toLowerCase();
    const list = [];
    let count = 0;
    const domains = new Set(datasets.map((dataset) => dataset.domain));
    for (const domain of domains) {
      const items = [];
      for (const dataset of datasets.filter((one) => one.domain === domain)) {
        const hits = words ? find(dataset, words) : [];
        const named = [dataset.id, dataset.name, domain].some((text) => text.toLowerCase().includes(words));
        if (words && !named && !hits.length) continue;
        count += 1;
        items.push(listed(dataset, !words), ...hits.slice(0, 6).map((hit) => listedHit(dataset, hit, words)));
      }
      if (items.length) list.push(el("li", {}, el("p", { className: "eyebrow domain" }, domain), el("ul", {}, ...items)));
    }
    $("datasets").replaceChildren(...list);
    $("found").textContent = words ? (count ? plural(count, "dataset") : `No matches for “${words}”.`) : "";
  }

  function find(dataset, words) {
    const hits = [];
    for (const task of dataset.tasks) {
      if (task.name.toLowerCase().includes(words)) hits.push({ task, label: null });
      for (const { label } of task.balance) if (label.toLowerCase().includes(words)) hits.push({ task, label });
    }
    return hits;
  }

  function listed(dataset, withTasks) {
    const current = dataset === state.dataset;
    return el("li", {}, el("button",
      { className: "dataset", type: "button", "aria-current": String(current), "data-id": dataset.id,
        onclick: () => go(dataset, dataset.tasks[0]) },
      el("span", {}, el("span", { className: "name" }, dataset.name), " ", el("span", { className: "id quiet" }, dataset.id)),
      el("span", { className: "count number", "aria-label": plural(dataset.images, "image") }, number(dataset.images))),
      current && withTasks && el("ul", { className: "tasks", "aria-label": `Tasks of ${dataset.name}` }, ...dataset.tasks.map((task) =>
        el("li", {}, el("button", { type: "button", "aria-current": String(task === state.task), "data-id": `${dataset.id}/${task.column}`,
          onclick: () => go(dataset, task) }, task.name)))));
  }

  function listedHit(dataset, { task, label }, words) {
    const text = label === null ? task.name : label;
    const at = text.toLowerCase().indexOf(words);
    return el("li", {}, el("button", { className: "hit", type: "button", onclick: () => go(dataset, task, label) },
      text.slice(0, at), el("mark", {}, text.slice(at, at + words.length)), text.slice(at + words.length),
      el("span", { className: "quiet" }, label === null ? "task" : `label of ${task.name}`)));
  }

  // ---- One dataset ------------------------------------------------------------------------------------------------
  function go(dataset, task, label = null, rest = {}) {
    Object.assign(state, { dataset, task, split: null, label, text: "", offset: 0, row: null, all: false }, rest);
    toAddress();
    closeMenu();
    const focused = document.activeElement && document.activeElement.dataset.id;
    drawList();
    draw();
    const current = document.querySelector(".dataset[aria-current=true]");
    const same = focused && ([...$("datasets").querySelectorAll("button")].find((node) => node.dataset.id === focused) || current);
    if (same) same.focus();
    else if (current) { // not scrollIntoView, which moves the place where Tab starts
      const box = $("browse"), there = current.getBoundingClientRect(), frame = box.getBoundingClientRect();
      if (there.top < frame.top || there.bottom > frame.bottom) box.scrollTop += there.top - frame.top;
    }
    scrollTo(0, 0);
    if (matchMedia("(max-width: 860px)").matches) $("main").focus({ preventScroll: true });
  }

  function draw() {
    const { dataset, task } = state;
    const tabs = el("nav", { className: "tabs", "aria-label": "Tasks" }, // on narrow screens, where the list is folded away
      ...dataset.tasks.map((one) => el("button",
        { type: "button", "data-id": `tab ${one.column}`, "aria-current": String(one === task), onclick: () => chooseTask(one) }, one.name)));
    $("main").replaceChildren(
      el("p", { className: "eyebrow" }, dataset.domain),
      el("h1", {}, dataset.name),
      el("p", { className: "summary" }, dataset.summary),
      el("div", { className: "chips" }, ...chips(dataset)),
      el("dl", { className: "splits" }, ...Object.entries(dataset.splits).map(([split, count]) =>
        el("div", {}, el("dt", {}, dot(split), split), el("dd", {}, number(count))))),
      notes(dataset),
      dataset.tasks.length > 1 ? tabs : "",
      el("div", { id: "panel", className: "task", role: "region", "aria-labelledby": "task" },
        el("p", { className: "eyebrow" }, `${task.target} task`),
        el("h2", { id: "task" }, task.name),
        el("section", { id: "balance", "aria-label": "Class balance" }),
        el("section", { id: "images", "aria-label": "Images" })),
      el("footer", {}, "Counts include all rows. " + (served ? "Images are all images of the folder, page by page; "
        : "Images are a fixed sample with every label of every task in every split; to see all: medimeta preview FOLDER --serve. They ") +
        (served ? "they are" : "are") + " compressed for this page, while the folder holds the exact pixels."));
    tabs.scrollLeft = tabs.querySelector("[aria-current=true]").offsetLeft - tabs.offsetLeft - 40;
    drawBalance();
    drawImages();
  }

  function chooseTask(task) {
    go(state.dataset, task);
    document.querySelector(".tabs [aria-current=true]").focus({ preventScroll: true });
  }

  function chips(dataset) {
    const { licence } = dataset;
    const plain = (text) => el("span", { className: "chip" }, text);
    const warn = (text) => el("span", { className: "chip warn" }, text);
    return [
      el("span", { className: "chip id" }, dataset.id),
      plain(dataset.mode === "L" ? "grayscale" : "colour"),
      plain(dataset.subjects ? plural(dataset.subjects, dataset.subject || "subject") : "subjects unknown"),
      licence.url ? el("a", { className: "chip", href: licence.url, rel: "noreferrer" }, licence.id) : plain(licence.id),
      !licence.commercial && warn("no commercial use"),
      !licence.redistribution && warn("no redistribution of images"),
      dataset.images !== dataset.published && warn(`incomplete: ${number(dataset.images)} of ${number(dataset.published)} images`),
      dataset.corrected && warn("corrected labels"),
    ];
  }

  function notes(dataset) {
    const lines = [dataset.membership + ".", ...[dataset.licence.conflict].filter(Boolean), ...dataset.issues];
    return el("details", { className: "notes" },
      el("summary", {}, "Source, splits, licence and known issues"), el("ul", {},
        ...dataset.sources.map((one) => el("li", {}, "Source: ",
          /^https?:/.test(one.url) ? el("a", { href: one.url, rel: "noreferrer" }, one.name) : one.name, `. Licence: ${one.licence}.`)),
        ...lines.map((line) => el("li", {}, line))));
  }

  // ---- Class balance ----------------------------------------------------------------------------------------------
  function drawBalance() {
    const { dataset, task } = state;
    const splits = Object.keys(dataset.splits);
    const most = Math.max(1, ...task.balance.map((row) => sum(row.counts)));
    const folded = task.balance.length > FEW + 3 && !state.all;
    const rows = folded ? task.balance.filter((row, place) => place < FEW || row.label === state.label) : task.balance;
    const head = (text, name) => el("th", { className: name, scope: "col" }, text);
    const table = el("table", { className: "balance" },
      el("thead", {}, el("tr", {}, head("Label", "label"), head("Images", ""),
        ...splits.map((split) => head(split, "number split")), head("all", "number"))),
      el("tbody", {}, ...rows.map((row) => balanceRow(row, splits, most))));
    $("balance").replaceChildren(
      el("div", { className: "head" }, el("h3", {}, "Class balance"),
        el("span", { className: "quiet" }, `${plural(task.labels, "label")}; select one to show only its images`)),
      table,
      folded ? el("button", { className: "more", type: "button", onclick: () => { state.all = true; drawBalance(); focusFirst("balance", ".label button"); } },
        `Show all ${task.balance.length} labels`) : "");
  }

  function balanceRow(row, splits, most) {
    const on = row.label === state.label;
    const bar = el("div", { className: "bar", role: "img",
      "aria-label": splits.map((split, place) => `${split} ${number(row.counts[place])}`).join(", ") });
    splits.forEach((split, place) => {
      if (!row.counts[place]) return;
      const part = el("i", { className: split, title: `${split}: ${number(row.counts[place])}` });
      part.style.width = `${(100 * row.counts[place]) / most}%`;
      bar.append(part);
    });
    const cell = (count, name) => el("td", { className: `number ${name} ${count ? "" : "zero"}` }, number(count));
    return el("tr", { className: on ? "on" : "" },
      el("td", { className: "label" }, el("button",
        { type: "button", "aria-pressed": String(on), onclick: () => chooseLabel(on ? null : row.label) }, row.label)),
      el("td", {}, bar), ...row.counts.map((count) => cell(count, "split")), cell(sum(row.counts), ""));
  }

  function chooseLabel(label) {
    Object.assign(state, { label, offset: 0 });
    toAddress();
    drawBalance();
    drawImages();
    const pressed = document.querySelector(".balance [aria-pressed=true]");
    if (pressed) pressed.focus({ preventScroll: true });
  }

  // ---- Images -----------------------------------------------------------------------------------------------------
  function drawImages() {
    const { dataset, split, label } = state;
    const segments = [null, ...Object.keys(dataset.splits)].map((one) => el("button",
      { type: "button", "aria-pressed": String(one === split), "data-split": one || "all",
        onclick: () => { Object.assign(state, { split: one, offset: 0 }); toAddress(); drawImages(); focusFirst("images", `[data-split="${one || "all"}"]`); } },
      one === null ? "All splits" : one));
    const search = el("input", { type: "search", id: "row-search", value: state.text, autocomplete: "off", spellcheck: false,
      placeholder: "File, number, subject or label", "aria-label": "Find images by file, number, subject or label",
      oninput: (event) => { Object.assign(state, { text: event.target.value, offset: 0 }); toAddress(); drawRows(); } });
    $("images").replaceChildren(
      el("div", { className: "head" }, el("h3", {}, "Images"), el("span", { className: "quiet", role: "status", id: "row-count" })),
      el("div", { className: "filters" }, el("div", { className: "segments", role: "group", "aria-label": "Split" }, ...segments), search,
        label !== null && el("button", { className: "clear", type: "button", "aria-label": `Show all labels, not only ${label}`,
          onclick: () => { chooseLabel(null); focusFirst("images", ".segments button"); } }, label, " ✕")),
      el("div", { id: "rows" }));
    drawRows();
  }

  let asked = 0; // answers of a server that came too late are dropped
  async function drawRows() {
    const turn = ++asked;
    if (!served) return drawGroups(sampled(state.text), state.dataset.rows.length, "image");
    const answer = await ask({ offset: state.offset, text: state.text, label: state.label || "", split: state.split || "" });
    if (turn !== asked) return;
    if (answer.error) return $("rows").replaceChildren(el("p", { className: "empty" }, answer.error));
    drawGroups(answer.rows, answer.total, "all");
    const step = (by, name) => el("button", { type: "button", disabled: state.offset + by < 0 || state.offset + by >= answer.total,
      onclick: () => { state.offset += by; toAddress(); drawRows().then(() => focusFirst("rows", ".pages button:not(:disabled)")); } }, name);
    if (answer.total > PAGE) $("rows").append(el("div", { className: "pages", role: "group", "aria-label": "Pages" }, step(-PAGE, "← Previous"), step(PAGE, "Next →")));
  }

  async function ask(query) {
    const words = new URLSearchParams({ dataset: state.dataset.id, task: state.task.column, ...query });
    try { return await (await fetch(`/rows?${words}`)).json(); } catch { return { error: "The server does not answer. Start it again: medimeta preview FOLDER --serve" }; }
  }

  // The rows of the sample that fit a text: part of the file, subject or a label, or the number of the image.
  function sampled(text) {
    const words = text.trim().toLowerCase();
    const fits = (row) => !words || String(row.index) === words || row.labels.flat().some((one) => one.toLowerCase().includes(words))
      || [row.facts.original_filepath, row.facts.subject_id].some((one) => String(one ?? "").toLowerCase().includes(words));
    return state.dataset.rows.filter((row) => fits(row) && (state.split === null || row.split === state.split));
  }

  function drawGroups(rows, total, kind) {
    const { dataset, task, split, label } = state;
    const place = dataset.tasks.indexOf(task);
    shown = [];
    const groups = [];
    for (const row of task.balance) {
      if (label !== null && row.label !== label) continue;
      const mine = rows.filter((one) => one.labels[place].includes(row.label));
      if (!mine.length) continue;
      const all = split === null ? sum(row.counts) : row.counts[Object.keys(dataset.splits).indexOf(split)];
      const first = shown.length;
      shown.push(...mine);
      groups.push(el("div", { className: "group" },
        el("h4", {}, row.label, el("span", {}, `${number(mine.length)} of ${number(all)}`)),
        el("div", { className: "images" }, ...mine.map((one, at) => picture(one, row.label, first + at)))));
    }
    const count = new Set(shown).size;
    $("row-count").textContent = kind === "all"
      ? (total ? `${number(state.offset + 1)} to ${number(state.offset + rows.length)} of ${plural(total, "image")}` : "no image")
      : `${plural(count, "image")} of a sample of ${number(total)}`;
    const why = kind === "all" ? "No image fits." : !dataset.rows.length ? "This page shows no images: the terms of this dataset do not allow redistributing them."
      : state.text ? "No image of the sample fits. To search all images: medimeta preview FOLDER --serve"
        : "The sample has no images with this label in this split.";
    $("rows").replaceChildren(...(groups.length ? groups : [el("p", { className: "empty" }, why)]));
  }

  function picture(row, label, place) {
    return el("button",
      { type: "button", "aria-label": `${label}, ${row.split} · ${row.index}: show the row`, "data-place": String(place), onclick: () => open(place) },
      el("img", { src: row.images.image, alt: "", width: 224, height: 224, loading: "lazy", decoding: "async" }),
      el("span", { className: "caption" }, dot(row.split), `${row.split} · ${row.index}`));
  }

  // ---- One row ----------------------------------------------------------------------------------------------------
  function open(place) {
    const { dataset } = state;
    const row = shown[place];
    state.row = row.index;
    toAddress();
    const fact = (name, value, kind = "") => el("div", { className: kind }, el("dt", {}, name), el("dd", {}, value));
    const step = (by, name, sign) => el("button", { type: "button", "aria-label": name, title: name, className: by < 0 ? "previous" : "next",
      disabled: !shown[place + by], onclick: () => open(place + by) }, sign);
    const masks = Object.entries(row.images).filter(([name]) => name !== "image");
    const focused = document.activeElement && document.activeElement.className;
    $("row").replaceChildren(el("div", { className: "sheet", "data-place": String(place) },
      el("div", {},
        el("img", { className: "large", src: row.images.image, alt: `${dataset.name}, image ${row.index}` }),
        masks.length > 0 && el("div", { className: "masks" }, ...masks.map(([name, source]) => el("figure", {}, el("img", { src: source, alt: name }), el("figcaption", {}, name))))),
      el("div", {},
        el("div", { className: "bar-top" },
          el("h2", { id: "row-title" }, dot(row.split), `${row.split}, image ${row.index}`),
          step(-1, "Previous image (left arrow)", "←"), step(1, "Next image (right arrow)", "→"),
          el("button", { type: "button", className: "close", "aria-label": "Close (Esc)", title: "Close (Esc)", onclick: () => $("row").close() }, "✕")),
        el("dl", { className: "facts" },
          ...dataset.tasks.map((task, at) => fact(task.name, row.labels[at].join(", "), "of-task")),
          ...Object.entries(row.facts).filter(([, value]) => value !== null).map(([name, value]) =>
            fact(name, shownValue(value)))),
        el("p", { className: "code" }, el("code", {}, `load_dataset("medimeta", "${dataset.id}", data_dir=...)["${row.split}"][${row.position}]`)))));
    if (!$("row").open) { opener = document.activeElement; $("row").showModal(); }
    const again = ["previous", "next"].includes(focused) && $("row").querySelector(`.${focused}:not(:disabled)`);
    (again || $("row").querySelector(".close")).focus();
  }

  $("row").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const place = Number($("row").firstChild.dataset.place) + step;
    if (step && shown[place]) { event.preventDefault(); open(place); }
  });
  $("row").addEventListener("click", (event) => { if (event.target === $("row")) $("row").close(); });
  // Closing returns the focus to the button that opened the row, then moves it to the image shown last, unless a key moved it.
  $("row").addEventListener("close", () => {
    state.row = null;
    toAddress();
    if (![opener, document.body].includes(document.activeElement)) return;
    const sheet = $("row").firstChild;
    const button = sheet && document.querySelector(`.images [data-place="${sheet.dataset.place}"]`);
    if (button) button.focus();
  });

  // ---- Keys -------------------------------------------------------------------------------------------------------
  const focusFirst = (id, selector) => { const node = $(id).querySelector(selector); if (node) node.focus({ preventScroll: true }); };

  // Arrow keys walk through a column of buttons.
  function walk(event, nodes, step) {
    const place = nodes.indexOf(document.activeElement) + step;
    if (!step || !nodes[place]) return;
    event.preventDefault();
    nodes[place].focus();
  }
  $("browse").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key] || 0;
    walk(event, [$("search"), ...$("datasets").querySelectorAll("button")], step);
  });
  $("main").addEventListener("keydown", (event) => {
    const box = event.target.closest(".images, .balance, .tabs");
    if (!box) return;
    const down = { ArrowDown: 1, ArrowUp: -1 }[event.key] || 0;
    if (box.className === "balance") return walk(event, [...box.querySelectorAll("button")], down);
    const right = { ArrowRight: 1, ArrowLeft: -1 }[event.key] || 0;
    if (box.className === "tabs") return walk(event, [...box.querySelectorAll("button")], right);
    const nodes = [...$("images").querySelectorAll(".images button")];
    if (right || !down) return walk(event, nodes, right);
    // The nearest image in the next row, which may be of another label.
    const here = event.target.getBoundingClientRect();
    const places = nodes.map((node) => node.getBoundingClientRect()).map((there, place) => ({ place, down: down * (there.top - here.top), side: Math.abs(there.left - here.left) }));
    const below = places.filter((one) => one.down > 1).sort((a, b) => a.down - b.down || a.side - b.side)[0];
    if (below) walk(event, nodes, below.place - nodes.indexOf(event.target));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/INPUT|TEXTAREA/.test(event.target.tagName) && !$("row").open) {
      event.preventDefault();
      openMenu();
      $("search").focus();
    } else if (event.key === "Escape" && !$("row").open) {
      if ($("search").value) { $("search").value = ""; drawList(); }
      else if (document.activeElement === $("search")) { closeMenu(); $("main").focus(); }
      else if ($("browse").classList.contains("open")) { closeMenu(); document.querySelector(".menu").focus(); }
      else if (state.label !== null) chooseLabel(null);
    }
  });
  $("search").addEventListener("input", drawList);
  $("search").addEventListener("keydown", (event) => {
    const first = $("datasets").querySelector(".hit, .dataset");
    if (event.key === "Enter" && $("search").value && first) first.click();
  });

  const menu = document.querySelector(".menu");
  function toggleMenu(open) { $("browse").classList.toggle("open", open); menu.setAttribute("aria-expanded", String(open)); }
  const openMenu = () => toggleMenu(true);
  const closeMenu = () => toggleMenu(false);
  menu.addEventListener("click", () => toggleMenu(!$("browse").classList.contains("open")));

  // The address holds the state: #bus/case_category?split=test&label=benign&text=12&offset=60&row=17
  function toAddress() {
    const { dataset, task, split, label, text, offset, row } = state;
    const set = Object.entries({ split, label, text, offset: offset || null, row }).filter(([, value]) => value !== null && value !== "");
    const rest = new URLSearchParams(set);
    const query = rest.size ? `?${rest}` : "";
    history.replaceState(null, "", `#${encodeURIComponent(dataset.id)}/${encodeURIComponent(task.column)}${query}`);
  }

  async function fromAddress() {
    const [path, query = ""] = location.hash.slice(1).split("?");
    const rest = new URLSearchParams(query);
    let id, column;
    try { [id, column] = path.split("/").map(decodeURIComponent); } catch { [id, column] = [path, undefined]; }
    const dataset = id ? datasets.find((one) => one.id === id) : datasets[0];
    const task = dataset && (column ? dataset.tasks.find((one) => one.column === column) : dataset.tasks[0]);
    const [split, label] = [rest.get("split"), rest.get("label")];
    const problem = !dataset ? `There is no dataset “${id}” on this page.` : !task ? `${dataset.id} has no task “${column}”.`
      : split !== null && !(split in dataset.splits) ? `${dataset.id} has no split “${split}”.`
        : label !== null && !task.balance.some((one) => one.label === label) ? `${task.name} has no label “${label}”.` : null;
    if (problem) return drawProblem(problem, dataset);
    const row = /^\d{1,9}$/.test(rest.get("row") || "") ? Number(rest.get("row")) : null;
    go(dataset, task, label, { split, text: rest.get("text") || "", offset: Math.max(0, parseInt(rest.get("offset"), 10) || 0), row });
    if (row !== null) await openRow(row);
  }

  // Open the row with a number; with a server, whether it is among the rows shown or not.
  async function openRow(row) {
    if (served) { await drawRows(); const answer = await ask({ row }); if (!shown.some((one) => one.index === row)) shown.push(...(answer.rows || [])); }
    const place = shown.findIndex((one) => one.index === row);
    if (place >= 0) return open(place);
    Object.assign(state, { row: null });
    toAddress();
    $("rows").prepend(el("p", { className: "empty", role: "alert" }, served ? `There is no image ${row}.` : `Image ${row} is not in the sample of this page. To see every image: medimeta preview FOLDER --serve`));
  }

  function drawProblem(problem, dataset) {
    drawList();
    $("main").replaceChildren(el("h1", {}, "Not on this page"), el("p", { className: "summary", role: "alert" }, problem),
      el("p", {}, dataset ? `Its tasks: ${dataset.tasks.map((one) => one.column).join(", ")}.` : "Choose a dataset from the list."));
  }
  addEventListener("hashchange", fromAddress);
  fromAddress();
})();
