"""Commands that make models: train, pretrain, count and publish them."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cgdseg import paths
from cgdseg.cli.shared import Colours, ConfigOption, Json, app, one_line_errors, save_json, sclera_colour
from cgdseg.config import load_config


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

    from cgdseg.studies.training import read_training
    from cgdseg.training import loop, rehearsal, runs, small_clip

    with one_line_errors():  # by every process: torchrun ends all others once one has failed
        cfg = load_config(config)
        first = next(iter(cfg.systems)), next(iter(cfg.conditions)), cfg.seeds[0]
        run = cfg.run(system or first[0], condition or first[1], first[2] if seed is None else seed)
        if dry_run:
            words = rehearsal.rehearsal_lines(rehearsal.rehearse(cfg, run))
        else:
            small_clip.pretrained_for(cfg, run)
            words = f"{read_training(loop.train(cfg, run))}\nsee {paths.short(runs.run_folder(cfg, run))}"
    if os.environ.get("RANK", "0") == "0":  # torchrun counts its processes
        typer.echo(words)
    if distributed.is_initialized():
        distributed.destroy_process_group()


@app.command("text-encoder")
def text_encoder(config: ConfigOption = "demo"):
    """Pretrain the small text-image encoder that a config's `text: {source: rendered}` asks for, unless it is there."""
    from cgdseg.training.small_clip import pretrained_for

    with one_line_errors():
        folders = pretrained_for(load_config(config))
    for folder in folders:
        typer.echo(f"text encoder in {paths.short(folder)}")
    if not folders:
        typer.echo(f"no system of {config} takes its text from an encoder of our own")


@app.command()
def parameters(
    config: ConfigOption = "ssbc2026",
    system: Annotated[str | None, typer.Option(help="one of the config's systems", show_default="its first")] = None,
    json: Json = None,
):
    """Count the parameters of a system by part, without downloading weights."""
    from cgdseg.models.inspect import parameter_counts

    with one_line_errors():
        systems = load_config(config).systems
        name = system or next(iter(systems))
        if name not in systems:
            raise ValueError(f"config {config} has no system {name}; it has: {', '.join(systems)}")
        counts = parameter_counts(systems[name])
    typer.echo("\n".join(f"{part:18} {count:12,}" for part, count in counts.items()))
    save_json(json, counts)


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
    from cgdseg.figures.scores import release_picture
    from cgdseg.report.release import publish, sample_pictures

    with one_line_errors():
        cfg = load_config(config)
        found = {"photographs": photographs, "sclera": sclera_colour(colour)}
        table, seen = publish(cfg, cfg.run(system, condition, seed), **found)
        typer.echo(table.round(4).to_string(index=False))
        if seen is not None:
            typer.echo(seen.round(4).to_string(index=False))
            release_picture(sample_pictures(), seen).savefig(paths.ROOT / "reports" / "example.png", dpi=110)
    typer.echo(f"see {paths.short(paths.RELEASE / 'MODEL_CARD.md')}")
