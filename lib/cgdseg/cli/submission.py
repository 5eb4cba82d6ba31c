"""Commands for the competition: write a submission, check one."""

from pathlib import Path
from typing import Annotated

import typer

from cgdseg.cli.shared import Colours, Json, app, name_problems, one_line_errors, save_json, sclera_colour

ImagesOption = Annotated[
    Path | None, typer.Option(help="test images: a folder with a sub-folder NAME (or NAME/Images) for each data set")
]
MOST_FINDINGS = 40  # findings; --json has all


@app.command()
def submit(
    out: Annotated[Path, typer.Option(help="where SSBC_SEG_PREDICTIONS/ and its .zip go")],
    synthetic: Annotated[Path | None, typer.Option(help="the run of the Synthetic track: data/runs/<run id>")] = None,
    mixed: Annotated[Path | None, typer.Option(help="the run of the Mixed track")] = None,
    images: ImagesOption = None,
    dataset: Annotated[
        list[str], typer.Option("--dataset", help="NAME=DIR of a test set's images, beside --images or without it")
    ] = (),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace an earlier submission in --out")] = False,
):
    """Predict all test sets for one track or both, at 400x300, pack them and check the archive.

    The archive's bytes depend on nothing but the predictions. The exit code is 1 if the check finds an error."""
    from cgdseg.folders.submission import data_sets
    from cgdseg.folders.submission.checking import check_submission
    from cgdseg.folders.submission.writing import write_submission

    with one_line_errors():
        sets = (data_sets(images, "Images") if images else {}) | dict(_name_and_folder(word) for word in dataset)
        if not sets:
            raise ValueError("no test images: give --images DIR, or --dataset NAME=DIR")
        runs = {track: run for track, run in {"Synthetic": synthetic, "Mixed": mixed}.items() if run}
        archive, problems = write_submission(runs, sets, out, overwrite)
        findings = check_submission(archive, images=sets)
    name_problems(problems)
    bad = _show(findings) > 0
    typer.echo(f"{'do not send' if bad else 'ready:'} {archive}")
    raise typer.Exit(int(bad))


@app.command("check-submission")
def check(
    path: Annotated[Path, typer.Argument(help="a folder, a .zip or a .tar.gz; it is only read")],
    images: ImagesOption = None,
    truth: Annotated[Path | None, typer.Option(help="truth masks, in sub-folders NAME or NAME/Masks")] = None,
    colour: Colours = (),
    json: Json = None,
):
    """Find what would cost a submission points: in its tree, its names, its files and its pairs.

    Beside what the official checker finds: masks of 0 and 1 (they score 0),
    files that are no grey 8-bit PNGs, maps that are masks, pairs that are turned
    against each other or disagree. With --images or --truth it knows the names
    that must be there; with --truth also how masks must lie.

    Nothing harmful is unpacked. The exit code is 1 on errors."""
    from cgdseg.folders.submission import data_sets
    from cgdseg.folders.submission.checking import check_submission

    with one_line_errors():
        sets = data_sets(images, "Images") if images else None
        masks = data_sets(truth, "Masks") if truth else None
        findings = check_submission(path, sets, masks, sclera_colour(colour))
    n_errors = _show(findings)
    save_json(json, {"errors": n_errors, "findings": findings.to_dict("records")})
    raise typer.Exit(int(n_errors > 0))


def _name_and_folder(word: str) -> tuple[str, Path]:
    name, sign, folder = word.partition("=")
    if not (name and sign and folder) or not Path(folder).is_dir():
        raise ValueError(f"--dataset {word}: give NAME=DIR, such as MASD=data/raw/MASD/Images")
    return name, Path(folder)


def _show(findings) -> int:
    """Print findings, errors first, and return how many errors there are."""
    n_errors = int((findings.severity == "error").sum())
    for row in findings.sort_values("severity", kind="stable").head(MOST_FINDINGS).itertuples():
        colour = "red" if row.severity == "error" else None
        typer.secho(f"{row.severity:8} {row.file} {row.reason}: {row.mend}", fg=colour)
    if len(findings) > MOST_FINDINGS:
        typer.echo(f"... and {len(findings) - MOST_FINDINGS} more (--json has all)")
    typer.echo(f"{n_errors} errors, {len(findings) - n_errors} warnings")
    return n_errors
