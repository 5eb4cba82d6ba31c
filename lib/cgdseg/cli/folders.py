"""Commands on folders of eyes: predict, score, audit."""

import functools
from pathlib import Path
from typing import Annotated, get_args

import typer

from cgdseg import paths
from cgdseg.cli.shared import Colours, Json, app, colour_table, name_problems, one_line_errors, save_json, sclera_colour
from cgdseg.config import RGB, Precision, Size
from cgdseg.text import visible


@app.command()
def predict(
    images: Annotated[Path, typer.Option(help="a folder; its sub-folders are read too")],
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
    from cgdseg.data.drawing import tile
    from cgdseg.data.images import read_image, resize_image
    from cgdseg.folders.pairing import image_files
    from cgdseg.folders.predict import predict_folder, write_png
    from cgdseg.models.predictor import load_segmenter

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
    name_problems(table.loc[table.problem != "", "problem"])
    typer.echo(f"{(table.problem == '').sum()} of {len(table)} images segmented; see {out}")
    raise typer.Exit(int((table.problem != "").any()))


@app.command()
def score(
    predictions: Annotated[Path, typer.Option(help="what predict wrote, or a folder of grey or 0/255 PNGs")],
    truth: Annotated[Path, typer.Option(help="truth masks of the same stems, or <stem>_mask.png")],
    protocol: Annotated[
        str | None, typer.Option(help="ssbc2025, ssbc2020 or pooled", show_default="each image at its truth's size")
    ] = None,
    colour: Colours = (),
    json: Json = None,
):
    """Score predictions against truth masks. Without --protocol: F1 and its company for each image at its truth's
    size, and their mean.

    With --protocol, as a competition does, from Predictions/ and Binarised/:
    ssbc2025: each image at its own size, then their mean; only 255 is sclera
    ssbc2020: at 480x360, pixels pooled in five folds; mean and deviation
    pooled: all pixels of a data set together

    These read one data set, or a sub-folder NAME for each (truth: or NAME/Masks),
    and --json is {NAME: {"Binary": {...}, "Probabilistic": {...}, "images": N},
    "overall": {...}}. ssbc2025 and pooled need predictions of the truth's size.

    A file that is missing, broken or scored otherwise than it looks is named; the exit code is then 1."""
    with one_line_errors():
        how = functools.partial(_score_protocol, protocol) if protocol else _score_images
        words, result, problems = how(predictions, truth, sclera_colour(colour))
    name_problems(problems)
    typer.echo(words)
    save_json(json, result)
    raise typer.Exit(int(bool(problems)))


def _score_images(predictions: Path, truth: Path, sclera: RGB | None) -> tuple[str, dict, list[str]]:
    from cgdseg.folders.score import score_folders
    from cgdseg.scoring.metrics import SCORES

    table = score_folders(predictions, truth, sclera)
    if table.f1.isna().all():
        raise ValueError(f"no mask in {truth} has a prediction in {predictions}: their file names must agree")
    problems = table.loc[table.problem != "", "problem"].tolist()
    table = table.drop(columns="problem")
    scored = table[table.f1.notna()]
    means = scored[SCORES].mean()
    words = f"{table.round(4).to_string(index=False)}\n\nmean of {len(scored)} images\n{means.round(4).to_string()}"
    files = scored.to_dict("records")
    return words, {"images": len(scored), "mean": means.to_dict(), "files": files, "problems": problems}, problems


def _score_protocol(protocol: str, predictions: Path, truth: Path, sclera: RGB | None) -> tuple[str, dict, list[str]]:
    from cgdseg.folders.score import score_trees

    scorer, problems = score_trees(predictions, truth, [protocol], sclera)
    table = scorer.table()
    if table.empty:
        raise ValueError("\n".join([f"no mask in {truth} could be scored:", *problems]))
    columns = ["output", "score"]
    values = table.pivot(index=["dataset", "images"], columns=columns, values="mean")
    order = table[columns].drop_duplicates().apply(tuple, axis=1)
    words = values.loc[:, order].loc[table.dataset.unique()].round(4).to_string()
    return f"{protocol}\n{words}", scorer.summary(protocol), problems


@app.command()
def audit(
    folder: Annotated[Path, typer.Argument(help="a dataset in any layout of data/README.md")],
    colour: Colours = (),
    json: Json = None,
):
    """Say what is in a folder of eyes and masks, and which files are broken."""
    from cgdseg.data.audit import audit_folder
    from cgdseg.report.outputs import to_json

    with one_line_errors():
        result = audit_folder(folder, colours=colour_table(colour))
    typer.echo(to_json({key: value for key, value in result.items() if key != "findings"}).strip())
    for finding in result["findings"]:
        typer.secho(visible(f"{finding['file']}: {finding['reason']}; {finding['mend']}"), fg="yellow")
    save_json(json, result)


def _size(words: str) -> Size | None:
    if words == "native":
        return None
    width, _, height = words.partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise ValueError(f"--size {words}: give native, or WIDTHxHEIGHT such as 400x300")
    return int(height), int(width)
