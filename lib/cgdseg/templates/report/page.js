"use strict";
// Everything here is a comfort: without JavaScript the page reads the same.
const root = document.documentElement;
const all = (selector) => [...document.querySelectorAll(selector)];
all(".tools").forEach((tools) => { tools.hidden = false; });

// Colours: as the system says, light, dark.
const themes = ["auto", "light", "dark"];
const names = { auto: "as the system says", light: "light", dark: "dark" };
const themeButton = document.getElementById("theme-button");
const remembered = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
const setTheme = (theme) => {
  root.dataset.theme = theme;
  themeButton.textContent = { auto: "◐", light: "☀", dark: "☾" }[theme];
  themeButton.setAttribute("aria-label", `Colours: ${names[theme]}`);
  try { localStorage.setItem("theme", theme); } catch { /* private window */ }
};
const asked = new URLSearchParams(location.search).get("theme");
setTheme([asked, remembered()].find((theme) => themes.includes(theme)) || "auto");
themeButton.addEventListener("click", () => setTheme(themes[(themes.indexOf(root.dataset.theme) + 1) % 3]));

// Code: all folds at once.
const codeButton = document.getElementById("code-button");
if (codeButton) codeButton.addEventListener("click", () => {
  const open = codeButton.getAttribute("aria-pressed") !== "true";
  codeButton.setAttribute("aria-pressed", open);
  codeButton.textContent = open ? "Hide all code" : "Show all code";
  all("details.code").forEach((details) => { details.open = open; });
});

// Contents: closed on narrow screens, else it follows the scroll.
const contents = document.querySelector(".contents details");
if (contents) {
  if (matchMedia("(max-width: 60rem)").matches) contents.open = false;
  const links = new Map(all(".contents a").map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
  const targets = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  const follow = () => {
    const passed = targets.filter((target) => target.getBoundingClientRect().top < innerHeight / 4);
    const atEnd = innerHeight + scrollY >= document.body.scrollHeight - 4;
    const current = atEnd ? targets.at(-1) : passed.at(-1) || targets[0];
    links.forEach((link) => link.removeAttribute("aria-current"));
    if (current) links.get(current.id).setAttribute("aria-current", "true");
  };
  addEventListener("scroll", follow, { passive: true });
  follow();
}

// Tables: a click on a heading sorts. Numbers come from data-value where they were rounded.
const value = (row, column) => {
  const cell = row.cells[column];
  const text = (cell.dataset.value ?? cell.textContent).trim();
  const number = Number(text.replaceAll(",", ""));
  return text !== "" && !Number.isNaN(number) ? number : text;
};
const compare = (a, b) => typeof a === typeof b
  ? (typeof a === "number" ? a - b : a.localeCompare(b))
  : (typeof a === "number" ? -1 : 1);
all("table.data, table.dataframe").forEach((table) => {
  const body = table.tBodies[0];
  const head = table.tHead?.rows;
  if (!body || head?.length !== 1 || body.rows.length < 2 || table.querySelector("[rowspan], [colspan]")) return;
  [...head[0].cells].forEach((cell, column) => {
    if (!cell.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => {
      const way = cell.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      [...head[0].cells].forEach((other) => other.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", way);
      const sign = way === "ascending" ? 1 : -1;
      const rows = [...body.rows].sort((a, b) => sign * compare(value(a, column), value(b, column)));
      body.append(...rows);
    });
  });
});
