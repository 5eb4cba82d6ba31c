"""Commands that run notebooks and write their pages."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from cgdseg import paths
from cgdseg.cli.shared import ConfigOption, app, one_line_errors
from cgdseg.config import Config, load_config
from cgdseg.text import visible

LONG = 600  # seconds of a notebook after which nobody waits for the others to read its page


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def reports(
    ctx: typer.Context,
    config: Annotated[str, typer.Argument(help="a name in configs/, or a YAML file")] = "demo",
    cores: Annotated[int, typer.Option(min=0, help="how many processor cores to use; 0: all")] = 0,
):
    """Bring every notebook run and page of a config up to date. Further options go to Snakemake (--profile slurm)."""
    from cgdseg.files import lock
    from cgdseg.report import index, jobs, notebooks, pages, runner

    with one_line_errors():
        cfg = load_config(config)
        notebooks.check_series()
        folder = paths.report_dir(cfg.name)
        with lock(folder / ".lock", paths.short(folder)):
            for stem, reason in jobs.sweep(cfg).items():
                runner.say("stale", stem, reason)
            for job in jobs.every_job(config):
                job.recipe()  # what fails here is said in a line; Snakemake, being quiet, would not say it
            code = _snakemake(config, cores or _cores(), ctx.args)
            if code:
                pages.write_missing(cfg)
            if code or not (folder / "index.html").exists():
                index.write_index(config)  # after a failure too: it shows what failed
    typer.echo(f"{'something failed; see' if code else 'open'} {paths.short(folder / 'index.html')}")
    raise typer.Exit(code)


def _snakemake(config: str, cores: int, more: list[str]) -> int:
    """Run the Snakefile. Its own lock is off: ours is freed by the kernel even when a process is killed."""
    from cgdseg.report.runner import forward_signals

    name = str(Path(config).resolve()) if Path(config).suffix else config
    files = ["--snakefile", str(paths.ROOT / "Snakefile"), "--directory", str(paths.HOME), "--config", f"name={name}"]
    again = ["--rerun-incomplete", "--rerun-triggers", "input", "mtime", "params", "--max-checksum-file-size", "1GB"]
    how = ["--cores", str(cores), "--nolock", "--keep-going", "--quiet", "all"]
    with subprocess.Popen([sys.executable, "-m", "snakemake", *files, *again, *how, *more]) as process:
        forward_signals(process)
        return process.wait()


@app.command()
def run(
    notebook: Annotated[str, typer.Argument(help="a name in notebooks/, or an .ipynb file")],
    config: ConfigOption = "demo",
    parameter: Annotated[list[str], typer.Option("-p", "--parameter", help="NAME=VALUE")] = (),
    minutes: Annotated[float, typer.Option(min=0.01, help="stop the notebook after so many minutes")] = 24 * 60,
):
    """Run one notebook headless, with proof that it came to its end, and write its receipt."""
    from cgdseg.report import jobs, pages, runner

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the kernel is ended too
    with one_line_errors():
        given = dict(_pair(word) for word in parameter)
        job = jobs.make_job(notebook, config, given)
        started = time.monotonic()
        try:
            runner.run_notebook(job, minutes * 60)
            if time.monotonic() - started > LONG:
                pages.write_page(job.executed)
        except runner.NotebookError as error:
            page = pages.write_page(error.failed) if error.failed else None
            raise RuntimeError(f"{error}\nsee {paths.short(page)}" if page else str(error)) from None


def _pair(word: str) -> tuple[str, str]:
    name, sign, value = word.partition("=")
    if not sign:
        raise ValueError(f"parameter {word!r} must be NAME=VALUE")
    return name, value


@app.command()
def html(
    stems: Annotated[list[str], typer.Argument(help="executed notebooks, such as 01_data_audit")],
    config: ConfigOption = "demo",
):
    """Render executed notebooks as pages that need no network."""
    from cgdseg.report import pages

    with one_line_errors():
        for stem in stems:
            pages.write_page(paths.executed_dir(load_config(config).name) / f"{stem}.ipynb")


@app.command()
def index(config: ConfigOption = "demo"):
    """Write the page that leads to all others."""
    from cgdseg.report.index import write_index

    with one_line_errors():
        write_index(config)


@app.command("config")
def show_config(
    names: Annotated[list[str], typer.Argument(help="names in configs/, or YAML files")],
    full: Annotated[
        bool, typer.Option("--full", help="print every setting, defaults and inherited ones included")
    ] = False,
):
    """Say whether configs are valid, which trainings they ask for, and what is there of their datasets."""
    import yaml

    with one_line_errors():
        for name in names:
            cfg = load_config(name)
            if full:
                typer.echo(yaml.safe_dump(cfg.model_dump(mode="json"), sort_keys=False))
                continue
            typer.echo(f"{cfg.name}: {', '.join(run.name for run in cfg.runs())}")
            for dataset in cfg.datasets:
                typer.echo(f"  {dataset}: {_use(cfg, dataset)}; {_content(cfg, dataset)}")


def _use(cfg: Config, name: str) -> str:
    trained = ", ".join(condition for condition, names in cfg.conditions.items() if name in names)
    tested = ["tested"] if cfg.datasets[name].domain == "real" else []
    return " and ".join(([f"trained on by {trained}"] if trained else []) + tested) or "used by nothing"


def _content(cfg: Config, name: str) -> str:
    """What lies in a dataset's folder, by file names alone; notebook 1 looks into the files."""
    from cgdseg.data.layouts import in_short, read_layout

    dataset = cfg.datasets[name]
    if dataset.stand_in:
        return f"{dataset.stand_in.n_images:,} eyes that notebook 1 renders"
    if not dataset.folder.is_dir():
        return f"NO FOLDER {dataset.folder}: correct its `root:`, or get it as data/README.md says"
    pairs, findings = read_layout(name, dataset)
    people = f" of {len({pair.subject for pair in pairs}):,} people" if dataset.domain == "real" else ""
    there = f"{len(pairs):,} images with a mask{people} in {dataset.folder}"
    return visible("; ".join(filter(None, [there, in_short(findings)])))
