"use strict";
// Spots of pictures show their descriptions; tables sort and filter; links open what is folded.

const tip = document.getElementById("tip");
const REACH = 20; // pixels: the mouse selects a point that is no further away
let told; // the point whose description is shown

function showTip(spot) {
  hideTip();
  told = spot;
  spot.classList.add("told");
  tip.textContent = spot.getAttribute("aria-label");
  tip.hidden = false;
  const at = spot.querySelector(".ring").getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const left = Math.min(at.left + at.width / 2 - size.width / 2, innerWidth - size.width - 8);
  const above = at.top - size.height - 8;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${above < 8 ? at.bottom + 8 : above}px`;
}

function centre(spot) {
  const box = spot.querySelector(".ring").getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
}

// Points may be closer to each other than a finger is wide.
function nearest(spots, event) {
  const distance = (spot) => {
    const [x, y] = centre(spot);
    return Math.hypot(x - event.clientX, y - event.clientY);
  };
  const [best] = spots.map((spot) => [distance(spot), spot]).sort((a, b) => a[0] - b[0]);
  return best && best[0] <= REACH ? best[1] : undefined;
}

function hideTip() {
  if (told) told.classList.remove("told");
  told = undefined;
  tip.hidden = true;
}

// To the neighbour on the same curve, or to the nearest point of the next curve.
function neighbour(spots, spot, key) {
  const line = Number(spot.dataset.line);
  const x = Number(spot.dataset.x);
  const of = (number) => spots.filter((one) => Number(one.dataset.line) === number);
  const own = of(line);
  const at = own.indexOf(spot);
  if (key === "ArrowRight") return own[at + 1];
  if (key === "ArrowLeft") return own[at - 1];
  if (key === "Home") return own[0];
  if (key === "End") return own[own.length - 1];
  if (key !== "ArrowUp" && key !== "ArrowDown") return undefined;
  const distance = (one) => Math.abs(Math.log(Number(one.dataset.x) / x));
  const next = of(line + (key === "ArrowDown" ? 1 : -1));
  return next.sort((a, b) => distance(a) - distance(b))[0];
}

for (const picture of document.querySelectorAll(".picture")) {
  const spots = [...picture.querySelectorAll(".spot")];
  const point = (event) => {
    const spot = nearest(spots, event);
    if (spot) showTip(spot);
    else hideTip();
  };
  picture.addEventListener("pointermove", point);
  picture.addEventListener("pointerdown", point);
  picture.addEventListener("pointerleave", hideTip);
  for (const spot of spots) {
    spot.querySelector("title").remove(); // else the browser shows its own tip as well
    spot.addEventListener("focus", () => {
      for (const one of spots) one.setAttribute("tabindex", one === spot ? "0" : "-1");
      showTip(spot);
    });
    spot.addEventListener("blur", hideTip);
    spot.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hideTip();
      const next = neighbour(spots, spot, event.key);
      if (next) {
        event.preventDefault();
        next.focus();
      }
    });
  }
}
// A point is scrolled into view after it gets the focus.
addEventListener("scroll", () => told && showTip(told), { passive: true, capture: true });

// Numbers by value, texts in natural order; empty cells come last in both directions.
function compareCells(a, b, sign) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const [x, y] = [Number(a), Number(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y)) return sign * (x - y);
  return sign * a.localeCompare(b, "en", { numeric: true });
}

function sortBy(table, column, heading) {
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  for (const one of table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const value = (row) => row.cells[column].dataset.value;
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((a, b) => compareCells(value(a), value(b), ascending ? 1 : -1));
  body.append(...rows);
}

function filter(listing, rows) {
  const wanted = {};
  for (const one of listing.querySelectorAll("[data-filter]")) wanted[one.dataset.filter] = one.value.trim();
  const words = wanted.text.toLowerCase().split(/\s+/);
  let shown = 0;
  for (const row of rows) {
    const name = row.cells[0].dataset.value.toLowerCase();
    const fits =
      words.every((word) => name.includes(word)) &&
      ["manager", "workload"].every((key) => !wanted[key] || row.dataset[key] === wanted[key]);
    row.hidden = !fits;
    shown += fits;
  }
  listing.querySelector("output").textContent = `${shown} of ${rows.length} cases`;
}

for (const listing of document.querySelectorAll(".listing")) {
  const table = listing.querySelector("table");
  const rows = [...table.tBodies[0].rows];
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sortBy(table, column, heading));
    heading.replaceChildren(button);
  });
  const tools = listing.querySelector(".tools");
  tools.hidden = false;
  tools.addEventListener("input", () => filter(listing, rows));
  tools.addEventListener("submit", (event) => event.preventDefault());
  filter(listing, rows);
}

// Browsers that open what hides a link's target do so for the address, too; others need this.
function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  const hidden = target ? target.closest("details:not([open])") : null;
  if (!hidden) return;
  hidden.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", openTarget);
openTarget();
// A part that was closed after its link was followed: the address does not change at the next click.
addEventListener("click", (event) => event.target.closest("a[href^='#']") && setTimeout(openTarget));
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
