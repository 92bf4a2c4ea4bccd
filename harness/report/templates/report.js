"use strict";
// The page is complete without this script, which sorts, filters and saves tables, saves figures, shows
// hints beside numbers, and opens what a link leads to. It requests nothing.
(() => {
  const MOST_RAW_VALUES = 12;

  // Small helpers

  const create = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  const plainText = (element) => element.textContent.replace(/\s+/g, " ").trim();

  const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60);

  const studyName = slug(document.title.split(":")[0]) || "report";

  function save(text, type, name) {
    const address = URL.createObjectURL(new Blob([text], { type }));
    const link = create("a", { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  /** Save what the page holds in compressed form as plain text. */
  async function savePlain(event) {
    const link = event.target.closest("a[download$='.gz']");
    if (!link || !window.DecompressionStream) return;
    event.preventDefault();
    const bytes = Uint8Array.from(atob(link.href.split(",")[1]), (character) => character.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    save(await new Response(plain).text(), "text/csv;charset=utf-8", link.download.slice(0, -3));
  }

  // The way to what a link leads to, and back

  const steps = []; // the links that were followed, with the address before each

  function reveal(hash) {
    let target = null;
    try {
      target = hash.length > 1 ? document.getElementById(decodeURIComponent(hash.slice(1))) : null;
    } catch {
      return; // an address that is not encoded properly
    }
    if (!target) return;
    const row = target.closest("tr[hidden]");
    if (row) row.hidden = false;
    for (let around = target; around; around = around.parentElement) {
      if (around.tagName === "DETAILS") around.open = true;
    }
    const section = target.querySelector(":scope > details.section");
    if (section) section.open = true;
    if (!target.hasAttribute("tabindex")) target.setAttribute("tabindex", "-1");
    target.focus({ preventScroll: true });
    const folded = target.closest("details");
    (folded && folded.firstElementChild.nextElementSibling === target ? folded : target).scrollIntoView();
  }

  function follow(event) {
    const link = event.target.closest("a[href^='#']");
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link.hash === location.hash) reveal(link.hash);
    else steps.push({ link, before: location.hash });
  }

  function arrive() {
    const last = steps.at(-1);
    if (last && last.before === location.hash) {
      steps.pop();
      last.link.focus({ preventScroll: true });
      last.link.scrollIntoView({ block: "nearest" });
    } else {
      reveal(location.hash);
    }
  }

  // Hints: what a number is made of, for the mouse, the keyboard and the finger

  const hint = create("div", { id: "hint", role: "tooltip", hidden: "" });
  let described = null;

  /** The raw values of the pairs that a link leads to. */
  function rawValues(link) {
    const target = document.getElementById(link.hash.slice(1));
    const cells = target ? [...target.querySelectorAll("table.pairs td.pair-effect")] : [];
    if (!cells.length) return "";
    const shown = cells.slice(0, MOST_RAW_VALUES).map(plainText).join(", ");
    const more = cells.length - MOST_RAW_VALUES;
    return `Pairs: ${shown}${more > 0 ? ` and ${more} more` : ""}`;
  }

  function showHint(element, touched) {
    if (described === element) return;
    hideHint();
    const lines = [element.dataset.hint];
    if (element.matches("a[href^='#']")) {
      lines.push(rawValues(element), touched ? "Tap again to open its samples." : "Enter or a click opens its samples.");
    }
    hint.replaceChildren(...lines.filter(Boolean).map((line) => create("p", {}, line)));
    hint.hidden = false;
    const box = element.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    const left = Math.max(8, Math.min(box.left, width - hint.offsetWidth - 8));
    const below = box.bottom + hint.offsetHeight < innerHeight || box.top < hint.offsetHeight;
    hint.style.left = `${left + scrollX}px`;
    hint.style.top = `${(below ? box.bottom : box.top - hint.offsetHeight) + scrollY}px`;
    element.setAttribute("aria-describedby", "hint");
    described = element;
  }

  function hideHint() {
    if (!described) return false;
    described.removeAttribute("aria-describedby");
    described = null;
    hint.hidden = true;
    return true;
  }

  const hinted = (event) => (event.target instanceof Element ? event.target.closest("[data-hint]") : null);

  function touch(event) {
    const element = hinted(event);
    if (!element || event.pointerType !== "touch" || !element.matches("a")) return;
    if (described === element && hint.dataset.touched) return;
    event.preventDefault();
    hideHint();
    showHint(element, true);
    hint.dataset.touched = "yes";
  }

  function prepareHints() {
    document.body.append(hint);
    for (const element of document.querySelectorAll("main td[title], main th[title], main table span[title]")) {
      const link = element.querySelector("a[href^='#']");
      const holder = link || element;
      if (!holder.dataset.hint) holder.dataset.hint = element.title;
      element.removeAttribute("title");
      if (!holder.closest("a, button, summary")) holder.tabIndex = 0;
    }
    document.addEventListener("pointerover", (event) => {
      if (event.pointerType === "touch" || hint.contains(event.target)) return;
      const element = hinted(event);
      if (element) showHint(element, false);
      else if (described !== document.activeElement) hideHint();
    });
    document.addEventListener("focusin", (event) => {
      delete hint.dataset.touched;
      const element = hinted(event);
      if (element && element.matches(":focus-visible")) showHint(element, false);
      else hideHint();
    });
    document.addEventListener("focusout", hideHint);
    document.addEventListener("click", touch);
    document.addEventListener("pointerup", (event) => {
      const element = hinted(event);
      if (event.pointerType === "touch" && !element) hideHint();
      else if (event.pointerType === "touch" && !element.matches("a")) showHint(element, true);
    });
  }

  // Tables

  const FORMULA = /^(?:[=@\t\r]|[+-](?!\d*\.?\d+(?:e[+-]?\d+)?$))/i;
  const WORDS = new Intl.Collator("en", { numeric: true });

  const content = (cell) => (cell.dataset.value === undefined ? plainText(cell) : cell.dataset.value);

  /** The number in a cell, or NaN. Full precision stands in `data-value`. */
  function numberIn(cell) {
    const text = content(cell);
    const sign = text.startsWith("-") ? -1 : 1;
    if (/^[+-]?inf/.test(text) || /^-?∞/.test(text)) return sign * Infinity;
    if (cell.dataset.value !== undefined) return Number.parseFloat(text);
    const plain = text.replace(/,(?=\d{3})/g, "");
    return plain === "" ? NaN : Number(plain);
  }

  const isMissing = (cell) => ["", "–", "nan"].includes(content(cell));

  function order(rows, column) {
    const cells = rows.map((row) => row.cells[column]);
    const numeric = cells.every((cell) => isMissing(cell) || !Number.isNaN(numberIn(cell)));
    return (first, second) => {
      const [a, b] = [first.cells[column], second.cells[column]];
      return numeric ? numberIn(a) - numberIn(b) || 0 : WORDS.compare(content(a), content(b));
    };
  }

  class Table {
    constructor(element) {
      this.element = element;
      this.body = element.tBodies[0];
      this.rows = [...this.body.rows]; // in the order of the page
      this.heads = [...element.tHead.rows[0].cells];
      this.names = this.heads.map(plainText);
      this.title = element.caption ? plainText(element.caption) : "table";
      this.heads.forEach((head, column) => this.addSorting(head, column));
      this.addTools();
    }

    static suits(element) {
      return (
        element.tHead && element.tHead.rows.length === 1 && element.tBodies.length === 1 &&
        element.tBodies[0].rows.length > 1 && !element.querySelector("[colspan], [rowspan]")
      );
    }

    addSorting(head, column) {
      const button = create("button", { type: "button", class: "sort" });
      button.append(...head.childNodes);
      if (head.dataset.hint) {
        button.dataset.hint = head.dataset.hint;
        delete head.dataset.hint;
        head.removeAttribute("tabindex");
      }
      head.append(button);
      button.addEventListener("click", () => this.sort(column));
    }

    /** Ascending, then descending, then as in the page. */
    sort(column) {
      const head = this.heads[column];
      const next = { ascending: "descending", descending: "" }[head.getAttribute("aria-sort")] ?? "ascending";
      this.heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next) head.setAttribute("aria-sort", next);
      const around = this.element.closest(".sorted"); // its style sheet orders the rows while a choice is made
      if (around) around.querySelectorAll("input:checked").forEach((choice) => (choice.checked = false));
      const compare = order(this.rows, column);
      const known = this.rows.filter((row) => !isMissing(row.cells[column]));
      const missing = this.rows.filter((row) => isMissing(row.cells[column]));
      known.sort(next === "descending" ? (a, b) => compare(b, a) : compare);
      this.body.append(...(next ? [...known, ...missing] : this.rows));
    }

    addTools() {
      const filter = create("input", { type: "search", placeholder: "Text in a row" });
      filter.addEventListener("input", () => this.choose());
      const save = create("button", { type: "button" }, "Download as CSV");
      save.addEventListener("click", () => this.save());
      this.filter = filter;
      this.shown = create("output");
      const tools = create("div", {}, create("label", {}, "Filter ", filter));
      if (this.rows.some((row) => row.dataset.same !== undefined)) {
        this.onlyDiffering = create("input", { type: "checkbox" });
        this.onlyDiffering.addEventListener("change", () => this.choose());
        tools.append(create("label", {}, this.onlyDiffering, " Only rows that differ"));
      }
      tools.append(save, this.shown, this.columnChoice());
      const folded = create("details", { class: "tools" }, create("summary", {}, "Filter, columns, CSV"), tools);
      (this.element.closest(".scroll") || this.element).before(folded);
      if (this.heads.some((head) => head.classList.contains("extra"))) this.foldExtra(folded);
    }

    columnChoice() {
      const choice = create("fieldset", {}, create("legend", {}, "Columns"));
      this.names.forEach((name, column) => {
        if (column === 0) return;
        const box = create("input", { type: "checkbox" });
        box.checked = true;
        box.addEventListener("change", () => this.show(column, box.checked));
        choice.append(create("label", {}, box, ` ${name}`));
      });
      return choice;
    }

    show(column, visible) {
      for (const row of [this.element.tHead.rows[0], ...this.rows]) row.cells[column].hidden = !visible;
    }

    /** Show the metrics that decide first, and the others on request. */
    foldExtra(tools) {
      const number = this.heads.filter((head) => head.classList.contains("extra")).length;
      const button = create("button", { type: "button", class: "more", "aria-expanded": "false" });
      const turn = (folded) => {
        this.element.classList.toggle("folded", folded);
        button.textContent = folded ? `Show ${number} more metric${number === 1 ? "" : "s"}` : "Show fewer metrics";
        button.setAttribute("aria-expanded", String(!folded));
      };
      button.addEventListener("click", () => turn(!this.element.classList.contains("folded")));
      turn(true);
      tools.before(button);
    }

    choose() {
      const wanted = this.filter.value.toLowerCase().trim();
      const differing = Boolean(this.onlyDiffering && this.onlyDiffering.checked);
      for (const row of this.rows) {
        const found = plainText(row).toLowerCase().includes(wanted);
        row.hidden = !found || (differing && row.dataset.same !== undefined);
      }
      const visible = this.rows.filter((row) => !row.hidden).length;
      this.shown.textContent = `${visible} of ${this.rows.length} rows`;
    }

    /** The rows that are shown, in their order, with all columns. */
    csv() {
      const field = (text) => {
        const safe = FORMULA.test(text) ? `'${text}` : text;
        return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
      };
      const rows = [...this.body.rows].filter((row) => !row.hidden).map((row) => [...row.cells].map(content));
      return [this.names, ...rows].map((row) => `${row.map(field).join(",")}\n`).join("");
    }

    save() {
      save(this.csv(), "text/csv;charset=utf-8", `${studyName}-${slug(this.title) || "table"}.csv`);
    }
  }

  const prepared = new WeakSet();

  /** Tables in closed details wait until somebody opens them, because there may be hundreds. */
  function prepareTables(around) {
    for (const element of around.querySelectorAll("table")) {
      if (prepared.has(element) || element.closest("details:not([open])") || !Table.suits(element)) continue;
      prepared.add(element);
      new Table(element);
    }
  }

  // Figures

  const DRAWN = [
    "fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "stroke-linecap",
    "stroke-linejoin", "opacity", "font-family", "font-size", "font-weight", "text-anchor",
  ];
  const NAMESPACE = "http" + "://www.w3.org/2000/svg"; // a name, not an address

  function withColours(drawing) {
    const copy = drawing.cloneNode(true);
    const originals = drawing.querySelectorAll("*");
    copy.querySelectorAll("*").forEach((element, index) => {
      const style = getComputedStyle(originals[index]);
      element.removeAttribute("class");
      element.removeAttribute("style");
      for (const name of DRAWN) element.setAttribute(name, style.getPropertyValue(name));
    });
    return copy;
  }

  /** The panels of a figure as one file, in the positions that they have on the page. */
  function figureText(figure) {
    const panels = figure.querySelector(".panels");
    const frame = panels.getBoundingClientRect();
    const whole = document.createElementNS(NAMESPACE, "svg");
    const size = [frame.width, frame.height].map((length) => Math.ceil(length));
    whole.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    whole.setAttribute("width", size[0]);
    whole.setAttribute("height", size[1]);
    const paper = document.createElementNS(NAMESPACE, "rect");
    paper.setAttribute("width", "100%");
    paper.setAttribute("height", "100%");
    paper.setAttribute("fill", getComputedStyle(document.body).backgroundColor);
    whole.append(paper);
    for (const drawing of panels.querySelectorAll("svg")) {
      const box = drawing.getBoundingClientRect();
      const copy = withColours(drawing);
      const place = { x: box.left - frame.left, y: box.top - frame.top, width: box.width, height: box.height };
      for (const [name, value] of Object.entries(place)) copy.setAttribute(name, value.toFixed(2));
      copy.setAttribute("overflow", "visible");
      whole.append(copy);
    }
    return new XMLSerializer().serializeToString(whole);
  }

  function prepareFigures() {
    for (const figure of document.querySelectorAll("figure[id]")) {
      const caption = figure.querySelector("figcaption");
      if (!caption || !figure.querySelector(".panels svg")) continue;
      const button = create("button", { type: "button", class: "save" }, "Download as SVG");
      button.addEventListener("click", () => {
        save(figureText(figure), "image/svg+xml", `${studyName}-${slug(figure.id)}.svg`);
      });
      caption.append(button);
    }
  }

  // Start

  prepareHints();
  prepareTables(document);
  prepareFigures();
  document.addEventListener("toggle", (event) => prepareTables(event.target), true);
  document.addEventListener("click", follow);
  document.addEventListener("click", savePlain);
  addEventListener("hashchange", arrive);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.target.matches("input")) return;
    if (!hideHint() && steps.length) history.back();
  });
  reveal(location.hash);
})();
