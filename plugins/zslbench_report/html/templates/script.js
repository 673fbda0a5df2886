(() => {
  "use strict";
  const root = document.documentElement;

  // Light or dark: the system decides until the reader does; early.js has applied a stored choice.
  const button = document.getElementById("mode");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const store = (mode) => { try { localStorage.setItem("zslbench-mode", mode); } catch { /* may be blocked */ } };
  const isDark = () => root.dataset.mode ? root.dataset.mode === "dark" : system.matches;
  const update = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    root.dataset.mode = isDark() ? "light" : "dark";
    store(root.dataset.mode);
    update();
  });
  system.addEventListener("change", update);
  update();

  // Sorting. Rows stay in their group and take the rows that belong to them along; missing values come last.
  const announcement = document.getElementById("announcement");
  const value = (row, column) => {
    const cell = row.cells[column];
    if (!cell || cell.classList.contains("missing")) return null;
    const given = "sort" in cell.dataset ? cell.dataset.sort : cell.textContent.trim();
    return given === "" || given === "–" ? null : given;
  };
  const number = (text) => {
    const found = /^[+−-]?\d+(\.\d+)?([eE][+-]?\d+)?/.exec(text);
    return found ? Number(found[0].replace("−", "-")) : NaN;
  };
  const blocksOf = (body) => {
    const head = [], blocks = [];
    for (const row of body.rows) {
      if (row.classList.contains("group")) head.push(row);
      else if (row.classList.contains("below") && blocks.length) blocks[blocks.length - 1].push(row);
      else blocks.push([row]);
    }
    return { head, blocks };
  };
  const sort = (table, header, column, order) => {
    const up = order === "ascending" ? 1 : -1;
    const numeric = header.classList.contains("number");
    for (const body of table.tBodies) {
      const { head, blocks } = blocksOf(body);
      const keyed = blocks.map((block, place) => ({ block, place, given: value(block[0], column) }));
      keyed.sort((a, b) => {
        if (a.given === null || b.given === null) {
          return (a.given === null) - (b.given === null) || a.place - b.place;
        }
        const x = number(a.given), y = number(b.given);
        const difference = numeric && !Number.isNaN(x) && !Number.isNaN(y)
          ? x - y : a.given.localeCompare(b.given, "en", { numeric: true });
        return up * difference || a.place - b.place;
      });
      body.append(...head, ...keyed.flatMap((one) => one.block));
    }
  };
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const headers = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    headers.forEach((header, column) => {
      const sorter = header.querySelector("button.sort");
      if (!sorter) return;
      sorter.addEventListener("click", () => {
        const now = header.getAttribute("aria-sort");
        const first = header.classList.contains("number") ? "descending" : "ascending";
        const order = now === "none" ? first : now === "ascending" ? "descending" : "ascending";
        for (const other of headers) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
        header.setAttribute("aria-sort", order);
        sort(table, header, column, order);
        announcement.textContent = `sorted by ${sorter.textContent}, ${order}`;
      });
    });
  }

  // A link to something inside a closed part opens that part.
  const open = () => {
    const target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
  };
  window.addEventListener("hashchange", open);
  open();
  window.addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("main details")) one.open = true;
  });
})();
