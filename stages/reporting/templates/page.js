// The page is complete without this script. With it, colours can be switched, tables sorted, and one explanation moves.
const root = document.documentElement;

// Before the first paint, so that nothing flashes. Browsers may refuse to store anything.
try {
  root.style.colorScheme = localStorage.getItem("report-colours") ?? "";
} catch {}

function switchColours() {
  const shown = root.style.colorScheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.style.colorScheme = shown === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("report-colours", root.style.colorScheme);
  } catch {}
}

// Browsers unfold for a target inside a section, but not for its heading, which is in the summary.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let fold = target; fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target?.scrollIntoView();
}

// Cells are compared by the number that they begin with, then as text with the numbers in it as numbers.
function compareCells(a, b) {
  const [x, y] = [a, b].map((text) => parseFloat(text.replace(/^[<[ ]+/, "").replaceAll(",", "").replace("−", "-")));
  return isNaN(x) - isNaN(y) || x - y || a.localeCompare(b, "en", { numeric: true });
}

// Rows without a value in the column stay last in both directions; equal rows keep their order.
function sortTable(heading) {
  const body = heading.closest("table").tBodies[0];
  const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const keyed = [...body.rows].map((row) => [row.cells[heading.cellIndex].textContent.trim(), row]);
  const isMissing = (text) => text === "" || text === "–";
  keyed.sort(([a], [b]) => isMissing(a) - isMissing(b) || direction * compareCells(a, b));
  body.append(...keyed.map(([, row]) => row));
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
}

// The explanation. p is the logistic function of the logit z, as the log-sum-exp of the other logits is set to 0.
// `steps`, the integral of 1 / signal from z to 0, is about the number of steps to there at rate 1.
const { exp, log10 } = Math;
const errors = {
  published: { signal: (p) => 0.2 * p * (1 - p) ** 2, steps: (z) => 5 * (2.5 + exp(-z) - 3 * (z + exp(z)) - exp(2 * z) / 2) },
  entropy: { signal: (p) => 1 - p, steps: (z) => 1 - z - exp(z) },
};
const probability = (z) => 1 / (1 + exp(-z));
const signal = (name, z) => errors[name].signal(probability(z));
const point = (name, z) => [210 + 10 * z, 40 - 20 * log10(signal(name, z))];

function words(value, digits = 2, options = {}) {
  return value.toLocaleString("en-GB", { maximumSignificantDigits: digits, ...options }).replace("-", "−");
}

function countSteps(steps) {
  const number = words(steps, 2, { notation: "compact", compactDisplay: "long" });
  return steps > 0 ? `about ${number} steps${steps > 1e8 ? ", that is, never" : ""}` : "no step";
}

function explain(block) {
  const find = (selector) => block.querySelector(selector);
  const write = (name, text) => (find(`[data-value=${name}]`).textContent = text);
  const logits = {};
  let rate, frame;

  function move(name, z) {
    logits[name] = z;
    write(`${name}-logit`, words(z, 4));
    find(`circle.${name}`).setAttribute("transform", `translate(${point(name, z)})`);
  }

  function show() {
    cancelAnimationFrame(frame);
    rate = Number(find("select").value);
    const z = Number(find("input").value);
    const p = probability(z);
    const [up, down] = [rate * (1 - p) * 60, rate * p * 60];
    for (const name in errors) {
      move(name, z);
      write(name, words(signal(name, z)));
      write(`${name}-steps`, countSteps(errors[name].steps(z) / rate));
    }
    const values = { logit: words(z, 3), p: words(p, p < 0.9 ? 2 : 5), rate, up: words(up), down: words(down) };
    for (const name in values) write(name, values[name]);
    find(".here").setAttribute("d", `M${210 + 10 * z} 20V240`);
    find(".jump").setAttribute("d", `M${210 + 10 * (z - down)} 20H${210 + 10 * (z + up)}`);
  }

  function train(left) {
    cancelAnimationFrame(frame);
    for (const name in errors) move(name, logits[name] + rate * signal(name, logits[name]));
    if (left > 1 && matchMedia("(prefers-reduced-motion: reduce)").matches) train(left - 1);
    else if (left > 1) frame = requestAnimationFrame(() => train(left - 1));
  }

  for (const name in errors) {
    const points = Array.from({ length: 121 }, (_, quarter) => point(name, quarter / 4 - 20));
    find(`.curve.${name}`).setAttribute("d", `M${points.join("L")}`);
  }
  block.addEventListener("input", show);
  find("button").addEventListener("click", () => train(200));
  show();
}

addEventListener("hashchange", unfold);
document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector("button.colours");
  button.hidden = false;
  button.addEventListener("click", switchColours);
  for (const heading of document.querySelectorAll("table:has(tbody tr + tr) th")) {
    const sorter = document.createElement("button");
    sorter.append(...heading.childNodes);
    sorter.addEventListener("click", () => sortTable(heading));
    heading.append(sorter);
  }
  document.querySelector("figure[data-name=error_signal]")?.after(document.querySelector("template").content);
  document.querySelectorAll(".explanation").forEach(explain);
  document.querySelectorAll("a[href^='#']").forEach((link) => link.addEventListener("click", () => setTimeout(unfold)));
  unfold();
});
