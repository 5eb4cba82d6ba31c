"""The command line, thin: every command checks its words, calls one function and turns errors into one line.

Heavy imports wait inside the commands, so that `cgdseg --help` is quick."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_args

import typer

from cgdseg import paths
from cgdseg.config import PARTS, RGB, Precision, Size, load_config
from cgdseg.files import visible

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Text-grounded sclera segmentation: run the notebooks, predict, score, audit.",
)
ConfigOption = Annotated[str, typer.Option("--config", help="a name in configs/, or a YAML file")]


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Print what is wrong and how to mend it, without a traceback, and exit 1."""
    try:
        yield
    except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
        typer.secho(f"error: {error}", err=True, fg="red")
        raise typer.Exit(1) from None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def reports(
    ctx: typer.Context,
    config: Annotated[str, typer.Argument(help="a name in configs/, or a YAML file")] = "demo",
    cores: Annotated[int, typer.Option(min=0, help="how many processor cores to use; 0: all")] = 0,
):
    """Bring every notebook run and page of a config up to date. Further options go to Snakemake (--profile slurm)."""
    from cgdseg import jobs, notebooks, site
    from cgdseg.files import lock

    with one_line_errors():
        cfg = load_config(config)
        folder = paths.report_dir(cfg.name)
        with lock(folder / ".lock", paths.short(folder)):
            for stem, reason in jobs.sweep(cfg).items():
                notebooks.say("stale", stem, reason)
            code = _snakemake(config, cores or _cores(), ctx.args)
            if code or not (folder / "index.html").exists():
                site.write_index(config)  # after a failure too: it shows what failed
    typer.echo(f"{'something failed; see' if code else 'open'} {paths.short(folder / 'index.html')}")
    raise typer.Exit(code)


def _snakemake(config: str, cores: int, more: list[str]) -> int:
    """Run the Snakefile. Its own lock is off: ours is freed by the kernel even when a process is killed."""
    from cgdseg.notebooks import forward_signals

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
    from cgdseg import jobs, notebooks, report

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the kernel is ended too
    with one_line_errors():
        given = dict(_pair(word) for word in parameter)
        job = jobs.make_job(notebook, config, given)
        try:
            notebooks.run_notebook(job, minutes * 60)
        except notebooks.NotebookError as error:
            page = report.write_page(error.failed) if error.failed else None
            raise RuntimeError(f"{error}\nsee {paths.short(page)}" if page else str(error)) from None


def _pair(word: str) -> tuple[str, str]:
    name, sign, value = word.partition("=")
    if not sign:
        raise ValueError(f"parameter {word!r} must be NAME=VALUE")
    return name, value


@app.command()
def train(
    config: ConfigOption = "demo",
    system: Annotated[str | None, typer.Option(help="a system of the config", show_default="its first")] = None,
    condition: Annotated[str | None, typer.Option(help="a condition of the config", show_default="its first")] = None,
    seed: Annotated[int | None, typer.Option(help="a seed of the config", show_default="its first")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="two steps at full size on rendered eyes, from random weights")
    ] = False,
):
    """Train one run of a config whose data notebook 01 prepared, or take it up where it was interrupted.

    On several GPUs: torchrun --standalone --nproc-per-node 8 -m cgdseg.cli train ...
    --dry-run proves the recipe on this machine; it needs no data, downloads nothing and writes nothing."""
    from torch import distributed

    from cgdseg import rehearsal, training

    with one_line_errors():  # by every process: torchrun ends all others once one has failed
        cfg = load_config(config)
        first = next(iter(cfg.systems)), next(iter(cfg.conditions)), cfg.seeds[0]
        run = cfg.run(system or first[0], condition or first[1], first[2] if seed is None else seed)
        if dry_run:
            words = rehearsal.describe(rehearsal.rehearse(cfg, run))
        else:
            words = f"{training.describe(training.train(cfg, run))}\nsee {paths.short(training.run_dir(cfg, run))}"
    if os.environ.get("RANK", "0") == "0":  # torchrun counts its processes
        typer.echo(words)
    if distributed.is_initialized():
        distributed.destroy_process_group()


@app.command()
def html(
    stems: Annotated[list[str], typer.Argument(help="executed notebooks, such as 01_data_audit")],
    config: ConfigOption = "demo",
):
    """Render executed notebooks as pages that need no network."""
    from cgdseg import report

    with one_line_errors():
        for stem in stems:
            report.write_page(paths.executed_dir(load_config(config).name) / f"{stem}.ipynb")


@app.command()
def index(config: ConfigOption = "demo"):
    """Write the page that leads to all others."""
    from cgdseg import site

    with one_line_errors():
        site.write_index(config)


Folder = Annotated[Path, typer.Option(help="a folder; its sub-folders are read too")]
Colours = Annotated[
    list[str], typer.Option("--colour", help="PART=R,G,B of coloured masks, such as sclera=0,255,0; may be repeated")
]
Json = Annotated[Path | None, typer.Option("--json", help="also write the result to this file")]


@app.command()
def predict(
    images: Folder,
    out: Annotated[Path, typer.Option(help="where Predictions/ and Binarised/ go")],
    run: Annotated[
        Path, typer.Option(help="a finished run: data/runs/<run id>", show_default="the release model")
    ] = paths.RELEASE,
    size: Annotated[str, typer.Option(help="native, or WIDTHxHEIGHT: the competition wants 400x300")] = "native",
    precision: Annotated[str, typer.Option(help="no (float32), bf16 or, on CUDA, fp16")] = "no",
    classes: Annotated[bool, typer.Option("--classes", help="also Iris/, Pupil/ and Opening/")] = False,
    overlays: Annotated[bool, typer.Option("--overlays", help="also Overlays/ and contact_sheet.png")] = False,
):
    """Segment a folder of images, with the model that ships with the repository unless a run is given.

    A file that cannot be read is named and left out; the exit code is then 1."""
    from cgdseg.data.images import read_image, resize_image
    from cgdseg.inference import image_files, load_segmenter, predict_folder, write_png
    from cgdseg.pictures import tile

    with one_line_errors():
        if precision not in get_args(Precision):
            raise ValueError(f"--precision {precision}: give {', '.join(get_args(Precision))}")
        segmenter = load_segmenter(run, precision=precision)
        table = predict_folder(segmenter, images, out, _size(size), classes, overlays)
        if table.empty:
            raise ValueError(f"{images} holds no image: give the folder that holds the images")
        if overlays and (table.problem == "").any():
            drawn = image_files(out / "Overlays")
            write_png(out / "contact_sheet.png", tile([resize_image(read_image(path), (180, 240)) for path in drawn]))
    _name_problems(table)
    typer.echo(f"{(table.problem == '').sum()} of {len(table)} images segmented; see {out}")
    raise typer.Exit(int((table.problem != "").any()))


@app.command()
def score(
    predictions: Annotated[Path, typer.Option(help="what predict wrote, or a folder of grey or 0/255 PNGs")],
    truth: Annotated[Path, typer.Option(help="truth masks of the same stems, or <stem>_mask.png")],
    colour: Colours = (),
    json: Json = None,
):
    """Score predictions at the truth's size: F1, IoU, precision, recall and MAE, per image and in the mean."""
    from cgdseg.files import write_atomic
    from cgdseg.inference import score_folders
    from cgdseg.outputs import to_json

    with one_line_errors():
        table = score_folders(predictions, truth, (_colours(colour) or {}).get("sclera"))
        if table.f1.isna().all():
            raise ValueError(f"no mask in {truth} has a prediction in {predictions}: their file names must agree")
    means = table[["f1", "iou", "precision", "recall", "mae"]].mean()
    _name_problems(table)
    typer.echo(table.drop(columns="problem").round(4).to_string(index=False))
    typer.echo(f"\nmean of {table.f1.notna().sum()} images\n{means.round(4).to_string()}")
    if json:
        scored = table[table.f1.notna()].drop(columns="problem").to_dict("records")
        problems = table.loc[table.problem != "", "problem"].tolist()
        write_atomic(
            json, to_json({"images": len(scored), "mean": means.to_dict(), "files": scored, "problems": problems})
        )
    raise typer.Exit(int((table.problem != "").any()))


@app.command()
def audit(
    folder: Annotated[Path, typer.Argument(help="a dataset in any layout of data/README.md")],
    colour: Colours = (),
    json: Json = None,
):
    """Say what is in a folder of eyes and masks, and which files are broken."""
    from cgdseg.data.audit import audit_folder
    from cgdseg.files import write_atomic
    from cgdseg.outputs import to_json

    with one_line_errors():
        result = audit_folder(folder, colours=_colours(colour))
    typer.echo(to_json({key: value for key, value in result.items() if key != "findings"}).strip())
    for finding in result["findings"]:
        typer.secho(visible(f"{finding['file']}: {finding['reason']}; {finding['mend']}"), fg="yellow")
    if json:
        write_atomic(json, to_json(result))


@app.command("text-encoder")
def text_encoder(config: ConfigOption = "demo"):
    """Pretrain the small text-image encoder that a config's `text: {source: rendered}` asks for, unless it is there."""
    from cgdseg.jobs import text_encoders
    from cgdseg.pretraining import pretrained

    with one_line_errors():
        wanted = text_encoders(load_config(config))
        for settings in wanted:
            typer.echo(f"text encoder in {paths.short(pretrained(settings))}")
    if not wanted:
        typer.echo(f"no system of {config} takes its text from an encoder of our own")


@app.command()
def parameters(
    config: ConfigOption = "ssbc2026",
    system: Annotated[str | None, typer.Option(help="one of the config's systems", show_default="its first")] = None,
    json: Json = None,
):
    """Count the parameters of a system by part, without downloading weights."""
    from cgdseg.files import write_atomic
    from cgdseg.outputs import to_json
    from cgdseg.systems import parameter_counts

    with one_line_errors():
        systems = load_config(config).systems
        name = system or next(iter(systems))
        if name not in systems:
            raise ValueError(f"config {config} has no system {name}; it has: {', '.join(systems)}")
        counts = parameter_counts(systems[name])
    typer.echo("\n".join(f"{part:18} {count:12,}" for part, count in counts.items()))
    if json:
        write_atomic(json, to_json(counts))


@app.command()
def release(
    config: ConfigOption = "release",
    system: str = "unet",
    condition: str = "randomised",
    seed: int = 42,
    photographs: Annotated[
        Path | None, typer.Option(help="photographs beside masks <stem>_mask.png, to be scored for the card")
    ] = None,
    colour: Colours = (),
):
    """Calibrate a finished run and publish it as the model that ships with the repository.

    Writes its weights and card, and with --photographs the README's picture."""
    from cgdseg.plots import release_picture
    from cgdseg.release import publish, sample_pictures

    with one_line_errors():
        cfg = load_config(config)
        sclera = (_colours(colour) or {}).get("sclera")
        table, seen = publish(cfg, cfg.run(system, condition, seed), photographs=photographs, sclera=sclera)
        typer.echo(table.round(4).to_string(index=False))
        if seen is not None:
            typer.echo(seen.round(4).to_string(index=False))
            release_picture(sample_pictures(), seen).savefig(paths.ROOT / "reports" / "example.png", dpi=110)
    typer.echo(f"see {paths.short(paths.RELEASE / 'MODEL_CARD.md')}")


def _size(words: str) -> Size | None:
    if words == "native":
        return None
    width, _, height = words.partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise ValueError(f"--size {words}: give native, or WIDTHxHEIGHT such as 400x300")
    return int(height), int(width)


def _colours(words: list[str]) -> dict[str, RGB] | None:
    table = {}
    for word in words:
        part, _, numbers = word.partition("=")
        rgb = numbers.split(",")
        if part not in PARTS or len(rgb) != 3 or not all(n.strip().isdigit() and int(n) < 256 for n in rgb):
            raise ValueError(f"--colour {word}: give PART=R,G,B such as sclera=0,255,0; parts: {', '.join(PARTS)}")
        table[part] = tuple(int(n) for n in rgb)
    return table or None


def _name_problems(table) -> None:
    for problem in table.loc[table.problem != "", "problem"]:
        typer.secho(visible(problem), err=True, fg="yellow")


if __name__ == "__main__":
    app()
