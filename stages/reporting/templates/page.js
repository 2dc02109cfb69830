// The page is complete without this script. With it, colours can be switched, tables sorted, and the contents follow.
"use strict";

const REMEMBERED = "report-colours";
const MISSING = new Set(["", "–"]);
const NUMBER = /(?<![\w.,])[+−-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+−-]?\d+)?/gi;
const words = new Intl.Collator("en");
const wide = matchMedia("(min-width: 64rem)");
const dark = matchMedia("(prefers-color-scheme: dark)");

// Before the first paint, so that nothing flashes. Browsers may refuse to remember anything; then nothing is.
try {
  const colours = localStorage.getItem(REMEMBERED);
  if (colours) document.documentElement.dataset.colours = colours;
} catch {}

function switchColours() {
  const shown = document.documentElement.dataset.colours ?? (dark.matches ? "dark" : "light");
  const colours = shown === "dark" ? "light" : "dark";
  document.documentElement.dataset.colours = colours;
  try {
    localStorage.setItem(REMEMBERED, colours);
  } catch {}
}

// What a cell is sorted by: its text, with the numbers in it as numbers, without the deviation or interval behind one.
function sortingKey(cell) {
  const text = cell.textContent.trim().split(/\s[±[]/)[0];
  if (MISSING.has(text)) return null;
  const key = [];
  let end = 0;
  for (const match of text.matchAll(NUMBER)) {
    if (match.index > end) key.push(text.slice(end, match.index));
    key.push(Number(match[0].replaceAll(",", "").replaceAll("−", "-")));
    end = match.index + match[0].length;
  }
  if (end < text.length) key.push(text.slice(end));
  return key;
}

function compareKeys(a, b) {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const numbers = [a[i], b[i]].filter((part) => typeof part === "number").length;
    const order =
      numbers === 2 ? a[i] - b[i] : numbers === 1 ? (typeof a[i] === "number" ? -1 : 1) : words.compare(a[i], b[i]);
    if (order) return order;
  }
  return a.length - b.length;
}

// Rows that have nothing in the column stay last in both directions; equal ones keep their order.
function sortTable(table, heading) {
  const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row) => [sortingKey(row.cells[heading.cellIndex]), row]);
  keyed.sort(([a], [b]) => (a && b ? direction * compareKeys(a, b) : (a === null) - (b === null)));
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

// Open beside the text where there is room for both; elsewhere only when asked for, and closed by a choice.
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
