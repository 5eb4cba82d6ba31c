"""Pages for people: one HTML file per executed notebook and an index, complete in themselves, without any network.

write_page(executed.ipynb) -> reports/<config>/html/<stem>.html; write_index("demo") -> reports/demo/index.html.
Scripts other than the page's own are refused by its content policy, whatever a table or file name contains."""

import base64
import hashlib
import json
import re
from html import unescape
from pathlib import Path

from cgdseg import paths
from cgdseg.config import Config, config_path, load_config
from cgdseg.files import write_atomic
from cgdseg.imports import code_digest
from cgdseg.jobs import Job, every_job
from cgdseg.outputs import figure_html, located, table_html

TEMPLATES = Path(__file__).parent / "templates"
EYE = (
    '<svg viewBox="0 0 38 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2.4">'
    '<path d="M2 12C8 4 13 2 19 2s11 2 17 10c-6 8-11 10-17 10S8 20 2 12z"/><circle cx="19" cy="12" r="6.5"/>'
    '<circle cx="19" cy="12" r="2.4" fill="currentColor" stroke="none"/></svg>'
)


def look() -> str:
    """A hash of everything that shapes a page apart from its notebook."""
    files = sorted(path for path in TEMPLATES.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest() + code_digest(["cgdseg.report"])


def write_page(executed: Path) -> Path:
    """Render an executed (or failed) notebook below reports/<config>/notebooks/."""
    import nbformat
    from nbconvert import HTMLExporter
    from nbconvert.filters import markdown2html

    notebook = nbformat.read(executed, as_version=4)
    about = notebook.metadata.get("cgdseg", {})
    receipt = about.get("receipt", {})
    markdown = [markdown2html(cell.source) for cell in notebook.cells if cell.cell_type == "markdown"]
    page = {
        "config": executed.parents[1].name,
        "title": _title(notebook.cells) or executed.stem,
        "run": receipt.get("run") or executed.name.removesuffix(".ipynb").removesuffix(".failed").partition(".")[2],
        "fault": about.get("fault"),
        "contents": _contents("\n".join(markdown)),
        "facts": _facts(about),
        "outputs": receipt.get("outputs", {}),
    }
    exporter = HTMLExporter(template_name="report", extra_template_basedirs=[str(TEMPLATES)])
    exporter.register_filter("gist", _gist)
    exporter.register_filter("alt", _alt)
    exporter.register_filter("text_base64", lambda text: base64.b64encode("".join(text).encode()).decode())
    body, _ = exporter.from_notebook_node(notebook, resources={"page": page, "look": _looks()})
    target = executed.parents[1] / "html" / f"{executed.stem}.html"
    write_atomic(target, body)
    return target


def write_index(config: str | Path) -> Path:
    """Write the page that leads to all others: headline results first, then every notebook and run."""
    from jinja2 import Environment, FileSystemLoader

    cfg = load_config(config)
    jobs = every_job(config)
    figures, tables = _headlines(cfg, jobs)
    stand_ins = [f"{name} ({data.stand_in.n_images:,})" for name, data in cfg.datasets.items() if data.stand_in]
    words = {
        "config": cfg.name,
        "look": _looks(),
        "about": _description(config_path(config)),
        "chips": _chips(cfg),
        "stand_ins": f"Procedural stand-ins take the place of {', '.join(stand_ins)}: rendered eyes, not photographs."
        if stand_ins
        else "",
        "figures": figures,
        "tables": tables,
        "cards": _cards(jobs),
        "footer": "Every number on these pages was written by a notebook; its page says with which code and settings.",
    }
    environment = Environment(loader=FileSystemLoader(TEMPLATES / "report"), trim_blocks=True)
    target = paths.report_dir(cfg.name) / "index.html"
    write_atomic(target, environment.get_template("site.html.j2").render(words))
    return target


def _looks() -> dict[str, str]:
    css, js = ((TEMPLATES / "report" / name).read_text() for name in ("page.css", "page.js"))
    script_hash = "sha256-" + base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()
    return {"css": css, "js": js, "script_hash": script_hash, "eye": EYE}


def _contents(html: str) -> list[tuple[int, str, str]]:
    """(level, id, text) of the headings below the title; the text is HTML without tags."""
    headings = re.findall(r'<h([23]) id="([^"]*)">(.*?)<a class="anchor-link"', html, flags=re.S)
    return [(int(level), anchor, re.sub(r"<[^>]*>", "", text)) for level, anchor, text in headings]


def _title(cells: list[dict]) -> str:
    return _first(cells, r"^# +(.+)$")


def _question(cells: list[dict]) -> str:
    return _first(cells, r"\*\*Question[.:]?\*\*[.:]?\s*(.+?)(?:\n\s*\n|\n?\*\*|$)")


def _first(cells: list[dict], pattern: str) -> str:
    text = "".join(cells[0]["source"]) if cells and cells[0]["cell_type"] == "markdown" else ""
    found = re.search(pattern, text, flags=re.M if pattern.startswith("^") else re.S)
    return " ".join(re.sub(r"[*`]", "", found[1]).split()) if found else ""


def _gist(source: str) -> str:
    """One line that stands for a folded cell: its parameters, or where its work begins."""
    lines = [line for line in source.splitlines() if line.strip() and not line.startswith("#")]
    if all(re.match(r"[A-Z_]+ = ", line) for line in lines):
        return "; ".join(lines)
    return next((line for line in lines if not line.startswith(("import ", "from "))), lines[0])


def _alt(output: dict, kind: str) -> str:
    return output.get("metadata", {}).get(kind, {}).get("alt") or "A figure that its notebook does not describe"


def _facts(about: dict) -> list[tuple[str, str]]:
    made, receipt = about.get("provenance", {}), about.get("receipt", {})
    recipe = ", ".join(f"{name} {digest[:8]}" for name, digest in receipt.get("recipe", {}).items())
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
        "Recipe": recipe,
    }
    return [(name, value) for name, value in facts.items() if value]


def duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _description(path: Path) -> str:
    """The comment a config file opens with."""
    lines = path.read_text().splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.lstrip("# ").strip() for line in lines[:end])


def _chips(cfg: Config) -> list[str]:
    seeds = f"{len(cfg.seeds)} seeds" if len(cfg.seeds) > 1 else f"seed {cfg.seeds[0]}"
    sizes = [f"{name} {system.input_size[0]}×{system.input_size[1]}" for name, system in cfg.systems.items()]
    conditions = [f"trained on {name}" for name in cfg.conditions]
    splits = [f"{cfg.splits.protocol} split", *(f"{name}: {how} split" for name, how in cfg.splits.protocols.items())]
    return [*sizes, *conditions, seeds, f"{cfg.training.epochs} epochs", *splits]


def _headlines(cfg: Config, jobs: list[Job]) -> tuple[list[str], list[str]]:
    """Figures and tables called headline*, with the words their notebooks gave them."""
    import pandas as pd

    receipts = [json.loads(job.receipt.read_text()) for job in jobs if job.receipt.is_file()]
    shown = {located(name): words for receipt in receipts for name, words in receipt["shown"].items()}
    chosen = sorted(path for path in shown if path.name.startswith("headline") and path.is_file())
    figures = [figure_html(path, **shown[path]) for path in chosen if path.parent.name == "figures"]
    csvs = [path for path in chosen if path.parent.name == "tables"]
    return figures, [table_html(pd.read_csv(path), shown[path]["caption"]) for path in csvs]


def _cards(jobs: list[Job]) -> list[dict]:
    """One card per notebook, one entry per run of it."""
    cards = {}
    for job in jobs:
        cells = json.loads(job.notebook.read_text())["cells"]
        number, _, name = job.notebook.stem.partition("_")
        title = re.sub(r"^[\d.\s·:–-]+", "", _title(cells)) or name.replace("_", " ")
        card = cards.setdefault(
            job.notebook, {"number": number, "title": title, "question": _question(cells), "entries": []}
        )
        card["entries"].append(_entry(job))
    return list(cards.values())


def _entry(job: Job) -> dict:
    source = next((path for path in (job.failed, job.executed) if path.is_file()), None)
    about = json.loads(source.read_text())["metadata"].get("cgdseg", {}) if source else {}
    status = "failed" if "fault" in about else "done" if source else "waiting"
    return {
        "label": job.run.name if job.run else "read the notebook",
        "page": f"{source.stem}.html" if source else None,
        "status": status,
        "words": "not run yet" if status == "waiting" else status,
        "time": duration(about.get("provenance", {}).get("seconds")),
        "fault": unescape(about.get("fault", "")),
    }
