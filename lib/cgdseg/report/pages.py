"""Pages for people: one HTML file per executed notebook, complete in itself, without any network.

write_page(executed.ipynb) -> reports/<config>/html/<stem>.html; `index.write_index` makes the page that leads to them.
Scripts other than the page's own are refused by its content policy, whatever a table or file name contains."""

import base64
import hashlib
import re
from pathlib import Path

from cgdseg import paths
from cgdseg.config import Config
from cgdseg.files import write_atomic
from cgdseg.hashes import code_digest

NO_ALT = "A figure that its notebook does not describe"
EYE = (
    '<svg viewBox="0 0 38 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2.4">'
    '<path d="M2 12C8 4 13 2 19 2s11 2 17 10c-6 8-11 10-17 10S8 20 2 12z"/><circle cx="19" cy="12" r="6.5"/>'
    '<circle cx="19" cy="12" r="2.4" fill="currentColor" stroke="none"/></svg>'
)


def look() -> str:
    """A hash of everything that shapes a page apart from its notebook."""
    templates = b"".join(path.read_bytes() for path in sorted(paths.TEMPLATES.rglob("*")) if path.is_file())
    return hashlib.sha256(templates).hexdigest() + code_digest(["cgdseg.report.pages", "cgdseg.report.index"])


def write_page(executed: Path) -> Path:
    """Render an executed (or failed) notebook below reports/<config>/notebooks/."""
    import nbformat

    notebook = nbformat.read(executed, as_version=4)
    about = notebook.metadata.get("cgdseg", {})
    receipt = about.get("receipt", {})
    page = {
        "config": executed.parents[1].name,
        "title": title_of(notebook.cells) or executed.stem,
        "run": receipt.get("run") or executed.name.removesuffix(".ipynb").removesuffix(".failed").partition(".")[2],
        "fault": about.get("fault"),
        "departures": about.get("provenance", {}).get("departures", ""),
        "facts": _facts(about),
        "files": {"read": receipt.get("reads") or {}, "written": receipt.get("outputs", {})},
    }
    return _write(notebook, page, executed.parents[1] / "html" / f"{executed.stem}.html")


def write_missing(cfg: Config) -> None:
    """Render what has run and has no page of it yet: after a failure nobody else does."""
    for executed in sorted(paths.executed_dir(cfg.name).glob("*.ipynb")):
        page = paths.html_dir(cfg.name) / f"{executed.stem}.html"
        if not executed.name.startswith(".") and (not page.exists() or page.stat().st_mtime < executed.stat().st_mtime):
            write_page(executed)


def write_cards(cfg: Config) -> Path | None:
    """Render the cards that notebooks wrote, datasets first, as one page; None where there is none.

    On a page a card is a section: its own headings are moved down, and the contents name cards only."""
    from nbformat.v4 import new_markdown_cell, new_notebook

    names = [f"data-{name}" for name in cfg.datasets] + [f"model-{run.name}" for run in cfg.runs()]
    found = [path for name in names if (path := paths.cards_dir(cfg.name) / f"{name}.md").is_file()]
    if not found:
        return None
    moved = [re.sub(r"^#+", lambda mark: "#" + mark[0], path.read_text(), flags=re.M) for path in found]
    title = "# Cards\n\nWhat each dataset and each trained model is, for whoever meets it without its notebooks."
    notebook = new_notebook(cells=[new_markdown_cell(text) for text in (title, *moved)])
    page = {"config": cfg.name, "title": "Cards", "run": "", "fault": None, "facts": [], "files": {}}
    return _write(notebook, page, paths.html_dir(cfg.name) / "cards.html", deepest=2)


def _write(notebook, page: dict, target: Path, deepest: int = 3) -> Path:
    """Render a notebook as a page; its contents name headings down to the level `deepest`."""
    from nbconvert import HTMLExporter
    from nbconvert.filters import markdown2html

    markdown = "\n".join(markdown2html(cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    page["contents"] = [heading for heading in _contents(markdown) if heading[0] <= deepest]
    page["has_code"] = any(cell.cell_type == "code" for cell in notebook.cells)
    exporter = HTMLExporter(template_name="page", extra_template_basedirs=[str(paths.TEMPLATES)])
    exporter.register_filter("gist", _gist)
    exporter.register_filter("framed", _framed)
    exporter.register_filter("alt", lambda output, kind: output.get("metadata", {}).get(kind, {}).get("alt") or NO_ALT)
    exporter.register_filter("text_base64", lambda text: base64.b64encode("".join(text).encode()).decode())
    body, _ = exporter.from_notebook_node(notebook, resources={"page": page, "look": page_assets()})
    write_atomic(target, body)
    return target


def page_assets() -> dict[str, str]:
    css, js = ((paths.TEMPLATES / "page" / name).read_text() for name in ("page.css", "page.js"))
    script_hash = "sha256-" + base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()
    return {"css": css, "js": js, "script_hash": script_hash, "eye": EYE}


def _contents(html: str) -> list[tuple[int, str, str]]:
    """(level, id, text) of the headings below the title; the text is HTML without tags."""
    headings = re.findall(r'<h([23]) id="([^"]*)">(.*?)<a class="anchor-link"', html, flags=re.S)
    return [(int(level), anchor, re.sub(r"<[^>]*>", "", text)) for level, anchor, text in headings]


def title_of(cells: list[dict]) -> str:
    return _first(cells, r"^# +(.+)$")


def question_of(cells: list[dict]) -> str:
    return _first(cells, r"\*\*Question[.:]?\*\*[.:]?\s*(.+?)(?:\n\s*\n|\n?\*\*|$)")


def _first(cells: list[dict], pattern: str) -> str:
    text = "".join(cells[0]["source"]) if cells and cells[0]["cell_type"] == "markdown" else ""
    found = re.search(pattern, text, flags=re.M if pattern.startswith("^") else re.S)
    return " ".join(re.sub(r"[*`]", "", found[1]).split()) if found else ""


def _framed(html: str) -> str:
    """Tables written in Markdown, in frames that scroll sideways from the keyboard too."""
    frame = '<div class="scroll" tabindex="0" role="region" aria-label="Table">'
    return html.replace("<table>", f'{frame}<table class="data">').replace("</table>", "</table></div>")


def _gist(source: str) -> str:
    """One line that stands for a folded cell: its parameters, or where its work begins."""
    lines = [line for line in source.splitlines() if line.strip() and not line.startswith("#")]
    if all(re.match(r"[A-Z_]+ = ", line) for line in lines):
        return "; ".join(lines)
    return next((line for line in lines if not line.startswith(("import ", "from "))), lines[0])


def _facts(about: dict) -> list[tuple[str, str]]:
    made, receipt = about.get("provenance", {}), about.get("receipt", {})
    facts = {
        "Started": made.get("started", "").replace("T", " ").replace("+00:00", " UTC"),
        "Duration": duration(made.get("seconds")),
        "Exit code": str(made.get("exit code", "")),
        "Commit": made.get("commit"),
        "Config": made.get("config"),
        "Parameters": ", ".join(f"{name} = {value}" for name, value in receipt.get("parameters", {}).items()),
        "Threads": str(made.get("threads", "")),
        "Python": made.get("python"),
        "Packages": ", ".join(f"{name} {version}" for name, version in made.get("versions", {}).items()),
        "Recipe": ", ".join(f"{name} {digest[:8]}" for name, digest in receipt.get("recipe", {}).items()),
    }
    return [(name, value) for name, value in facts.items() if value]


def duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
