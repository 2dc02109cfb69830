// The page is complete without this script. With it, colours can be switched, tables sorted, and the contents follow.
"use strict";

const words = new Intl.Collator("en", { numeric: true });
const wide = matchMedia("(min-width: 64rem)");
const dark = matchMedia("(prefers-color-scheme: dark)");

// Before the first paint, so that nothing flashes. Browsers may refuse to store anything.
try {
  const colours = localStorage.getItem("report-colours");
  if (colours) document.documentElement.dataset.colours = colours;
} catch {}

function switchColours() {
  const shown = document.documentElement.dataset.colours ?? (dark.matches ? "dark" : "light");
  const colours = shown === "dark" ? "light" : "dark";
  document.documentElement.dataset.colours = colours;
  try {
    localStorage.setItem("report-colours", colours);
  } catch {}
}

// Cells are compared by the number that they begin with, then as text with the numbers in it as numbers.
function compareCells(a, b) {
  const [x, y] = [a, b].map((text) => parseFloat(text.replaceAll(",", "").replace("−", "-")));
  if (x !== y && !(isNaN(x) && isNaN(y))) return isNaN(x) ? 1 : isNaN(y) ? -1 : x - y;
  return words.compare(a, b);
}

// Rows without a value in the column stay last in both directions; equal rows keep their order.
function sortTable(table, heading) {
  const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row) => [row.cells[heading.cellIndex].textContent.trim(), row]);
  const isMissing = (text) => text === "" || text === "–";
  keyed.sort(([a], [b]) => isMissing(a) - isMissing(b) || direction * compareCells(a, b));
  body.append(...keyed.map(([, row]) => row));
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
}

function makeSortable(table) {
  if (table.tBodies[0].rows.length < 2) return;
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortTable(table, heading));
    heading.append(button);
  }
}

// On wide screens the contents stay open next to the text; elsewhere the reader opens them, and choosing a link closes them.
function followContents(contents) {
  const links = [...contents.querySelectorAll("a")];
  const headings = links.map((link) => document.getElementById(link.hash.slice(1)));
  const scrolled = contents.parentElement;
  let current;
  let waiting = false;

  function mark() {
    waiting = false;
    const passed = headings.findLastIndex((heading) => heading.getBoundingClientRect().top < innerHeight / 4);
    if (links[passed] === current) return;
    current?.removeAttribute("aria-current");
    current = links[passed];
    current?.setAttribute("aria-current", "true");
    if (!current || !wide.matches) return;
    const [link, box] = [current.getBoundingClientRect(), scrolled.getBoundingClientRect()];
    if (link.top < box.top || link.bottom > box.bottom) scrolled.scrollTop += link.top - box.top - box.height / 2;
  }

  function fit() {
    contents.open = wide.matches;
  }

  for (const link of links) {
    link.addEventListener("click", () => {
      if (!wide.matches) contents.open = false;
    });
  }
  addEventListener("scroll", () => {
    if (!waiting) requestAnimationFrame(mark);
    waiting = true;
  }, { passive: true });
  wide.addEventListener("change", fit);
  fit();
  mark();
}

document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector("button.colours");
  button.hidden = false;
  button.addEventListener("click", switchColours);
  document.querySelectorAll("table").forEach(makeSortable);
  followContents(document.querySelector(".contents"));
});
