"""The page that leads to all others: what was asked, the results that matter, a row a training, every notebook.

write_index("demo") -> reports/demo/index.html, put together from receipts and the tables that notebooks wrote."""

import json
import re
from html import unescape
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader

from cgdseg import paths
from cgdseg.config import Config, config_path, load_config
from cgdseg.figures.html import compare_html, figure_html, table_html
from cgdseg.files import write_atomic
from cgdseg.report.jobs import Job, every_job
from cgdseg.report.origin import unstamp
from cgdseg.report.outputs import located
from cgdseg.report.pages import duration, page_assets, question_of, title_of, write_cards
from cgdseg.studies.phrasing import caution

SCORES_CSV = "scores_by_run.csv"  # notebook 4's table of test scores: run, dataset, F1, low, high, images


def write_index(config: str | Path) -> Path:
    """Write the page that leads to all others: headline results first, then every notebook and run."""
    cfg = load_config(config)
    jobs = every_job(config)
    drawn = ", ".join(f"{name} ({data.stand_in.n_images:,})" for name, data in cfg.datasets.items() if data.stand_in)
    words = {
        "config": cfg.name,
        "look": page_assets(),
        "about": _description(config_path(config)),
        "chips": _chips(cfg),
        "stand_ins": drawn and f"Rendered eyes, not photographs: {drawn}. Tables call them stand-ins.",
        "departures": cfg.departures(),
        "grounded": bool(cfg.cgdsegs()),
        "results": _headlines(jobs),
        "cards_page": write_cards(cfg),
        "runs": _runs(cfg, jobs),
        "notebooks": _notebooks(jobs),
        "footer": "Every number on these pages was written by a notebook; its page says with which code and settings.",
    }
    environment = Environment(loader=FileSystemLoader(paths.TEMPLATES / "page"), trim_blocks=True)
    target = paths.report_dir(cfg.name) / "index.html"
    write_atomic(target, environment.get_template("site.html.j2").render(words))
    return target


def _headlines(jobs: list[Job]) -> list[str]:
    """Figures and tables called headline*, in the order of their notebooks, with the words these gave them.

    The first table leads; the others come after the figures."""
    receipts = [json.loads(job.receipt.read_text()) for job in jobs if job.receipt.is_file()]
    shown = {located(name): words for receipt in receipts for name, words in receipt["shown"].items()}
    chosen = {path: words for path, words in shown.items() if path.name.startswith("headline") and path.is_file()}
    figures = [_figure(path, words) for path, words in chosen.items() if path.parent.name == "figures"]
    named = {path: words for path, words in chosen.items() if not path.stem.endswith("-data")}
    tables = [_table(path, words) for path, words in named.items() if path.parent.name == "tables"]
    return [html for html in [*tables[:1], *figures, *tables[1:]] if html]


def _figure(path: Path, words: dict[str, str]) -> str:
    """A figure; where it is the first of two under a slider, both; "" for the second."""
    if path.stem.endswith("-above"):
        return ""
    above = path.with_stem(path.stem.removesuffix("-below") + "-above")
    if path.stem.endswith("-below") and above.is_file():
        return compare_html(path, above, words["alt"], words["caption"]) + _said(words)
    full = "" if path.suffix == ".svg" else f"figures/{path.name}"
    data = f"tables/{words['data']}" if "data" in words else ""
    return figure_html(path, words["alt"], words["caption"], data, full) + _said(words)


def _table(path: Path, words: dict[str, str]) -> str:
    table, origin = unstamp(pd.read_csv(path))
    return table_html(table, words["caption"], origin, f"tables/{path.name}") + _said(words)


def _said(words: dict[str, str]) -> str:
    """What a notebook read in its figure or table."""
    from nbconvert.filters import markdown2html

    return f'<div class="prose said">{markdown2html(words["reading"])}</div>' if "reading" in words else ""


def _runs(cfg: Config, jobs: list[Job]) -> dict:
    """A row a training: status, minutes, optimiser steps, and F1 with its interval on each test set.

    Returns heads, the names of columns; caution, how rough the intervals are; and rows: what `_entry` says, and cells,
    a (text, number to sort by) each."""
    path = paths.tables_dir(cfg.name) / SCORES_CSV
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["run", "dataset"])
    datasets = list(dict.fromkeys(table.dataset))
    scored = {(row.run, row.dataset): row for row in table.itertuples()}
    trained = dict(zip(table.run, table.steps, strict=True)) if "steps" in table else {}
    rows = []
    for job in (job for job in jobs if job.run):
        entry = _entry(job)
        cells = [_score(scored.get((job.run.name, dataset))) for dataset in datasets]
        steps = trained.get(job.run.name)
        length = ("–", "") if pd.isna(steps) else (f"{steps:,.0f}", int(steps))
        rows.append(entry | {"cells": [(entry["time"], entry["seconds"]), length, *cells]})
    heads = ["time", "steps", *(f"F1, {name}" for name in datasets)]
    return {"heads": heads, "rows": rows, "caution": caution(table)}


def _score(row) -> tuple[str, float | str]:
    """F1 (low–high; n images) in words, and the number to sort by."""
    if row is None:
        return "–", ""
    interval = f"{row.low:.3f}–{row.high:.3f}; " if pd.notna(row.low) else ""
    return f"{row.F1:.4f} ({interval}{row.images} images)", row.F1


def _notebooks(jobs: list[Job]) -> list[dict]:
    """Every notebook with its question, and an entry for each run of it."""
    found = {}
    for job in jobs:
        cells = json.loads(job.notebook.read_text())["cells"]
        number, _, name = job.notebook.stem.partition("_")
        title = re.sub(r"^[\d.\s·:–-]+", "", title_of(cells)) or name.replace("_", " ")
        about = {"number": number, "title": title, "question": question_of(cells), "entries": []}
        found.setdefault(job.notebook, about)["entries"].append(_entry(job))
    return list(found.values())


def _entry(job: Job) -> dict:
    source = next((path for path in (job.failed, job.executed) if path.is_file()), None)
    about = json.loads(source.read_text())["metadata"].get("cgdseg", {}) if source else {}
    status = "failed" if "fault" in about else "done" if source else "waiting"
    return {
        "run": job.run.name if job.run else "",
        "page": f"{source.stem}.html" if source else None,
        "status": status,
        "words": "not run yet" if status == "waiting" else status,
        "time": duration(about.get("provenance", {}).get("seconds")),
        "seconds": about.get("provenance", {}).get("seconds", ""),
        "fault": unescape(about.get("fault", "")),
    }


def _chips(cfg: Config) -> list[str]:
    seeds = f"{len(cfg.seeds)} seeds" if len(cfg.seeds) > 1 else f"seed {cfg.seeds[0]}"
    sizes = [f"{name} {system.input_size[0]}×{system.input_size[1]}" for name, system in cfg.systems.items()]
    conditions = [f"trained on {name}" for name in cfg.conditions]
    splits = [f"{cfg.splits.protocol} split", *(f"{name}: {how} split" for name, how in cfg.splits.protocols.items())]
    length = f"{cfg.training.steps} steps each" if cfg.training.steps else f"{cfg.training.epochs} epochs"
    return [*sizes, *conditions, seeds, length, *splits]


def _description(path: Path) -> str:
    """The comment a config file opens with."""
    lines = path.read_text().splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.lstrip("# ").strip() for line in lines[:end])
