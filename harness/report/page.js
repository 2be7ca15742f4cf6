// Everything here adds to a page that reads in full without it; to show what the documents print
// beside our numbers is left to the style sheet.
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Sorting: numbers by data-value, rows without a number last, ties keep their order.
  const keyOf = (row, index) => {
    const cell = row.children[index];
    if (!cell || cell.classList.contains("statement")) return null;
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return text === "" || text === "—" ? null : text;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  const closeRows = (table) => all("button.open[aria-expanded=true]", table).forEach((b) => b.click());
  // A row that heads a block stays where it is: what follows it is a run of its own.
  const runsOf = (table) => {
    const runs = [{ head: null, rows: [] }];
    [...table.tBodies[0].rows].forEach((row) => {
      if (row.classList.contains("block")) runs.push({ head: row, rows: [] });
      else runs[runs.length - 1].rows.push(row);
    });
    return runs;
  };
  const sort = (table, header) => {
    closeRows(table);
    const index = header.cellIndex;
    const descending = header.getAttribute("aria-sort") === "ascending";
    all("thead th", table).forEach((th) => th.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    table.dataset.sorted = index;
    runsOf(table).forEach(({ head, rows }) => {
      const keyed = rows.map((row) => ({ row, key: keyOf(row, index) }));
      keyed.sort((a, b) => {
        if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
        return (descending ? -1 : 1) * compare(a.key, b.key);
      });
      table.tBodies[0].append(...(head ? [head] : []), ...keyed.map(({ row }) => row));
    });
  };
  all("table.sortable").forEach((table) => {
    all("thead th", table).forEach((header) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sort(table, header));
      header.append(button);
    });
  });

  // A row opens its details: the block below the table moves into the table.
  all("tr[data-details]").forEach((row) => {
    const details = document.getElementById(row.dataset.details);
    const content = details && details.querySelector(".detail");
    const link = row.querySelector("th a");
    if (!content || !link) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "open";
    button.setAttribute("aria-expanded", "false");
    const name = document.createElement("span");
    name.append(...link.childNodes);
    button.append(name);
    link.replaceWith(button);
    let opened = null;
    button.addEventListener("click", () => {
      const open = opened === null;
      button.setAttribute("aria-expanded", String(open));
      if (!open) {
        details.append(content);
        opened.remove();
        opened = null;
        return;
      }
      opened = document.createElement("tr");
      const cell = opened.insertCell();
      cell.className = "opened";
      cell.colSpan = row.closest("table").tHead.rows[0].cells.length;
      cell.append(content);
      row.after(opened);
    });
  });
  all(".details").forEach((block) => { block.hidden = true; });

  // Filter and copy.
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      if (!done) throw new Error("refused");
    }
  };
  all(".listing").forEach((listing) => {
    const table = listing.querySelector("table");
    const said = listing.querySelector(".said");
    listing.querySelector(".controls").hidden = false;
    listing.querySelector(".filter").addEventListener("input", (event) => {
      closeRows(table);
      const words = event.target.value.toLowerCase().split(/\s+/);
      let count = 0;
      runsOf(table).forEach(({ head, rows }) => {
        rows.forEach((row) => {
          const name = row.cells[0].textContent.toLowerCase();
          row.hidden = !words.every((word) => name.includes(word));
        });
        const left = rows.filter((row) => !row.hidden).length;
        if (head) head.hidden = left === 0;
        count += left;
      });
      said.textContent = `${count} ${count === 1 ? "row" : "rows"} shown`;
    });
    all("button.copy", listing).forEach((button) => button.addEventListener("click", async () => {
      const format = button.dataset.format;
      try {
        await copy(listing.querySelector(`textarea.source[data-format=${format}]`).value);
        said.textContent = `${format} copied`;
      } catch {
        said.textContent = `The browser refused to copy; the ${format} lies in the tables folder`;
      }
    }));
  });

  // One image of a strip, shown at a whole number of screen pixels per image pixel.
  const show = (view, strip, index, limit) => {
    const { width, height, count } = Object.fromEntries(
      Object.entries(strip.dataset).map(([key, value]) => [key, Number(value)]));
    const scale = Math.max(1, Math.floor(limit / width));
    const image = view.querySelector("img");
    image.src = strip.querySelector("img").src;
    image.style.width = `${(count * (width + 1) - 1) * scale}px`;
    image.style.height = `${height * scale}px`;
    image.style.marginLeft = `${-index * (width + 1) * scale}px`;
    view.style.width = `${width * scale}px`;
    view.style.height = `${height * scale}px`;
  };

  // The slider compares two losses on one image.
  all(".gallery").forEach((gallery) => {
    const box = gallery.querySelector(".compare");
    const rows = all(".strips .row[data-name]", gallery);
    if (rows.length < 2) return;
    box.hidden = false;
    const [left, right, image] = ["left", "right", "image"].map((c) => box.querySelector(`select.${c}`));
    const slide = box.querySelector("input");
    const stage = box.querySelector(".stage");
    const sides = box.querySelector(".sides");
    rows.forEach((row, index) => {
      [left, right].forEach((select) => select.add(new Option(row.dataset.name, index)));
    });
    left.value = rows.length > 2 ? "1" : "0";
    right.value = rows.length > 2 ? "2" : "1";
    const divide = () => {
      stage.querySelector(".over").style.clipPath = `inset(0 0 0 ${slide.value}%)`;
      stage.querySelector(".rule").style.left = `${slide.value}%`;
    };
    const draw = () => {
      const limit = Math.min(448, box.clientWidth);
      [["under", left], ["over", right]].forEach(([name, select]) => {
        const view = stage.querySelector(`.${name}`);
        show(view, rows[select.value].querySelector(".strip"), Number(image.value), limit);
        view.querySelector("img").alt =
          `${rows[select.value].dataset.name}, ${image.selectedOptions[0].text}`;
      });
      stage.style.width = stage.querySelector(".under").style.width;
      [left, right].forEach((select, side) => {
        sides.children[side].textContent = rows[select.value].dataset.name;
      });
      sides.style.width = stage.style.width;
      slide.style.width = stage.style.width;
      divide();
    };
    [left, right, image].forEach((select) => select.addEventListener("change", draw));
    slide.addEventListener("input", divide);
    const drag = (event) => {
      if (event.type === "pointermove" && event.buttons === 0) return;
      const bounds = stage.getBoundingClientRect();
      slide.value = (100 * (event.clientX - bounds.left)) / bounds.width;
      divide();
    };
    ["pointerdown", "pointermove"].forEach((name) => stage.addEventListener(name, drag));
    window.addEventListener("resize", draw);
    draw();
  });

  // A click enlarges the image under the pointer; arrow keys walk along the strip.
  const dialog = document.querySelector("dialog.zoom");
  const [view, plot, what] = [".view", ".plot", ".what"].map((c) => dialog.querySelector(c));
  const steps = all(".previous, .next", dialog);
  let strip = null;
  let index = 0;
  const enlarge = () => {
    const count = Number(strip.dataset.count);
    index = (index + count) % count;
    const limit = Math.min(window.innerWidth - 80, window.innerHeight - 200, 768);
    show(view, strip, index, limit);
    const words = strip.querySelector("img").alt;
    view.querySelector("img").alt = `${words}, number ${index + 1}`;
    what.textContent = `${words} · ${index + 1} of ${count}`;
  };
  const open = (drawn) => {
    view.hidden = drawn;
    plot.hidden = !drawn;
    steps.forEach((button) => { button.hidden = drawn; });
    dialog.showModal();
  };
  all(".strip").forEach((button) => button.addEventListener("click", (event) => {
    const bounds = button.getBoundingClientRect();
    const across = event.detail ? (event.clientX - bounds.left) / bounds.width : 0;
    strip = button;
    index = Math.min(Number(button.dataset.count) - 1,
      Math.max(0, Math.floor(across * Number(button.dataset.count))));
    enlarge();
    open(false);
  }));
  const step = (by) => {
    if (view.hidden) return;
    index += by;
    enlarge();
  };
  dialog.querySelector(".previous").addEventListener("click", () => step(-1));
  dialog.querySelector(".next").addEventListener("click", () => step(1));
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  // A figure enlarges by moving into the dialog and back: a copy would have its identifiers twice.
  let home = null;
  all("figure.wide, figure.narrow").forEach((figure) => {
    const place = figure.querySelector(".scroll");
    const caption = figure.querySelector("figcaption");
    const words = [...caption.childNodes].filter((node) => !node.classList?.contains("file"))
      .map((node) => node.textContent).join("").trim();
    const bring = () => {
      home = place;
      place.style.minHeight = `${place.getBoundingClientRect().height}px`;
      plot.append(place.firstElementChild);
      what.textContent = words;
      open(true);
    };
    const button = document.createElement("button");
    button.type = "button";
    button.className = "enlarge";
    button.textContent = "Enlarge";
    button.setAttribute("aria-label", `Enlarge the figure: ${words.split(/[.:;] /)[0]}`);
    button.addEventListener("click", bring);
    caption.append(" ", button);
    place.addEventListener("click", bring);
  });
  dialog.addEventListener("close", () => {
    if (home === null) return;
    home.append(plot.firstElementChild);
    home.style.minHeight = "";
    home = null;
  });

  // Paper shows all: what is closed opens for printing and closes after it.
  let closed = [];
  window.addEventListener("beforeprint", () => {
    all(".details").forEach((block) => { block.hidden = false; });
    closed = all("details:not([open])");
    closed.forEach((each) => { each.open = true; });
  });
  window.addEventListener("afterprint", () => {
    all(".details").forEach((block) => { block.hidden = true; });
    closed.forEach((each) => { each.open = false; });
  });
})();
