// Opens every page of a report in Chromium, in both themes, wide and at 320 px:
//   node check_pages.mjs REPORT_FOLDER [SCREENSHOT_FOLDER]
// No console error, no request, no serious accessibility violation, no sideways scroll; contents, folds, sorting,
// enlarged figures, sliders and comparisons work from the keyboard. Exits 1 and names what fails.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [folder, screenshots] = process.argv.slice(2).map((path) => resolve(path));
if (!folder || !existsSync(join(folder, "index.html"))) {
  console.error("give the folder of a report that `make reports` wrote: the one with index.html in it");
  process.exit(2);
}
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const executablePath = process.env.CHROMIUM
  ?? ["/usr/bin/chromium", "/usr/bin/google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium"].find(existsSync);
const html = readdirSync(join(folder, "html")).filter((name) => name.endsWith(".html"));
const files = [join(folder, "index.html"), ...html.map((name) => join(folder, "html", name))];
const problems = [];
const counts = { pages: files.length, views: 0, keys: 0, megabytes: 0 };
counts.megabytes = Math.round(files.reduce((sum, file) => sum + statSync(file).size, 0) / 1e5) / 10;

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
for (const file of files) {
  const name = file.slice(folder.length + 1);
  for (const colorScheme of ["light", "dark"]) for (const width of [1280, 320]) {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme, bypassCSP: true });
    const complain = (what) => problems.push(`${name} (${colorScheme}, ${width} px): ${what}`);
    page.on("console", (message) => { if (message.type() === "error") complain(`console: ${message.text()}`); });
    page.on("pageerror", (error) => complain(`script: ${error.message}`));
    page.on("request", (request) => { if (!/^(file|data|about):/.test(request.url())) complain(`asks for ${request.url()}`); });
    await page.goto(pathToFileURL(file).href, { waitUntil: "load" });
    counts.views += 1;
    await accessible(page, complain);
    const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    if (wide > seen) complain(`scrolls sideways: ${wide} px`);
    if (colorScheme === "light" && width === 1280) await keyboard(page, complain);
    if (screenshots) {
      mkdirSync(screenshots, { recursive: true });
      const target = `${name.replaceAll("/", "-").replace(".html", "")}-${colorScheme}-${width}.png`;
      await page.screenshot({ path: join(screenshots, target), fullPage: true });
    }
    await page.close();
  }
}
await browser.close();
console.log(JSON.stringify({ ...counts, problems: problems.length }));
problems.forEach((problem) => console.error(problem));
process.exit(problems.length ? 1 : 0);

async function accessible(page, complain) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, impact, help, nodes } of violations) {
    if (["serious", "critical"].includes(impact)) complain(`${impact} ${id}: ${help} (${nodes.length}, such as ${nodes[0].target})`);
  }
}

// Focus something, press keys, and look whether the page did what it promises.
async function press(page, complain, what, selector, keys, holds) {
  const found = page.locator(selector).first();
  if (!(await found.count())) return;
  await found.focus();
  for (const key of keys) await page.keyboard.press(key);
  counts.keys += 1;
  if (!(await page.evaluate(holds))) complain(`${what} does not answer to ${keys.join(", ")}`);
}

async function keyboard(page, complain) {
  const check = (...words) => press(page, complain, ...words);
  await check("the skip link", ".skip", ["Enter"], () => location.hash === "#main");
  await check("the contents", ".contents li:nth-child(2) a", ["Enter"], () => location.hash.length > 1 && location.hash !== "#main");
  await check("a fold", "details.code summary", ["Enter"], () => document.querySelector("details.code").open);
  await check("all folds", "#code-button", ["Enter"], () => [...document.querySelectorAll("details.code")].every((d) => d.open));
  await check("a sortable heading", "th button", ["Enter"], () => !!document.querySelector("th[aria-sort]"));
  await check("the theme", "#theme-button", ["Enter"], () => document.documentElement.dataset.theme === "light");
  await check("a figure", ".enlarge", ["Enter"], () => document.querySelector("dialog.stage").open);
  await page.keyboard.press("Escape");
  if (await page.evaluate(() => document.querySelector("dialog.stage").open)) complain("Escape does not close a figure");
  await check("the slider", ".compare input", ["ArrowRight"], () => document.querySelector(".compare").style.getPropertyValue("--cut") !== "50%");
  await check("the comparison", "#versus-b", ["ArrowDown"], () => document.querySelector(".versus tbody").rows.length > 0);
}
