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

// Pictures: a click shows them as large as the window allows; Escape closes.
const stage = document.createElement("dialog");
stage.className = "stage";
stage.setAttribute("aria-label", "Enlarged figure");
stage.innerHTML = '<form method="dialog"><button>Close</button></form>';
document.body.append(stage);
stage.addEventListener("click", (event) => { if (event.target === stage) stage.close(); });
stage.addEventListener("close", () => stage.querySelector("img").remove());
all("figure > img").forEach((image) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "enlarge";
  button.title = "Enlarge";
  image.before(button);
  button.append(image);
  button.addEventListener("click", () => {
    stage.prepend(image.cloneNode());
    stage.showModal();
  });
});

// Two pictures of one size: the second lies over the first, as far as the slider says.
all(".compare").forEach((compare) => {
  const slider = compare.querySelector("input");
  const uncover = () => compare.style.setProperty("--cut", `${slider.value}%`);
  compare.classList.add("live");
  slider.hidden = false;
  slider.addEventListener("input", uncover);
  uncover();
});

// Trainings: two of them beside each other, column by column.
const runs = document.getElementById("runs-table");
if (runs && runs.tBodies[0].rows.length > 1) {
  const versus = document.querySelector(".versus");
  const choices = [...versus.querySelectorAll("select")];
  const heads = [...runs.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
  const rows = new Map([...runs.tBodies[0].rows].map((row) => [row.dataset.run, row]));
  choices.forEach((select, place) => {
    select.append(...[...rows.keys()].map((name, i) => new Option(name, name, i === place, i === place)));
  });
  const line = (...texts) => {
    const row = document.createElement("tr");
    texts.forEach((text, i) => { const cell = row.insertCell(); cell.textContent = text; if (i) cell.className = "number"; });
    return row;
  };
  const show = () => {
    const [a, b] = choices.map((select) => rows.get(select.value));
    versus.querySelector("tbody").replaceChildren(...heads.slice(2).map((head, i) => {
      const [left, right] = [a.cells[i + 2], b.cells[i + 2]];
      const known = left.dataset.value !== "" && right.dataset.value !== "";
      const change = known ? Number(right.dataset.value) - Number(left.dataset.value) : 0;
      const unit = head === "time" ? `${Math.round(change)} s` : change.toFixed(4);
      return line(head, left.textContent, right.textContent, known ? `${change > 0 ? "+" : ""}${unit}`.replace("-", "−") : "–");
    }));
  };
  choices.forEach((select) => select.addEventListener("change", show));
  versus.hidden = false;
  show();
}
