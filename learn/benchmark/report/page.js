// Sort tables by column, choose a protocol, and filter tasks. Without scripts, everything is shown.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const first = column === 0 || head.dataset.first === "ascending" ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (column === 0) return sign * x.localeCompare(y);
        if (x === "" || y === "") return (x === "") - (y === ""); // missing values last
        return sign * (x - y);
      });
      body.append(...rows);
    });
  });
}
const choice = document.getElementById("protocol");
const parts = [...document.querySelectorAll("section.part")];
const filter = document.getElementById("filter");
const domain = document.getElementById("domain");
const intervals = document.getElementById("intervals");
function show() {
  for (const part of parts) part.hidden = part.id !== choice.value;
  const text = filter.value.trim().toLowerCase();
  for (const row of document.querySelectorAll("table.tasks tbody tr")) {
    row.hidden = (domain.value !== "" && row.dataset.domain !== domain.value) || !row.cells[0].textContent.toLowerCase().includes(text);
  }
  document.body.classList.toggle("no-intervals", !intervals.checked);
}
for (const control of [choice, filter, domain, intervals]) control.addEventListener("input", show);
document.querySelectorAll(".controls").forEach((one) => { one.hidden = false; });
show();
