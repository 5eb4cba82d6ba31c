"""Write a submission: the tree of both tracks at 400x300, and its archive.

In: finished runs and folders of test images. Out: SSBC_SEG_PREDICTIONS/ and SSBC_SEG_PREDICTIONS.zip."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from cgdseg import loops
from cgdseg.folders.predict import predict_folder
from cgdseg.folders.submission import SIZE, TOP, TRACKS
from cgdseg.folders.submission.archives import pack
from cgdseg.models.predictor import load_segmenter


def write_submission(
    runs: Mapping[str, Path], images: Mapping[str, Path], out: Path, overwrite: bool = False
) -> tuple[Path, list[str]]:
    """Predict every data set with the run of every track: track -> run folder, data set -> folder of its images.

    Sub-folders are flattened, for the kit knows none. Returns the archive and a line for each image that could not be
    read. Raises FileExistsError for an earlier submission unless `overwrite`, ValueError for a track that is none."""
    strange = [track for track in runs if track not in TRACKS]
    if strange or not runs:
        raise ValueError(f"tracks {strange}: give a run for {' or '.join(TRACKS)}, or for both")
    tree, archive = out / TOP, out / f"{TOP}.zip"
    earlier = [path for path in (tree, archive) if path.exists()]
    if earlier and not overwrite:
        raise FileExistsError(f"{earlier[0]} is there already: move it away, or give --overwrite")
    part = out / f".{TOP}.part" / TOP  # a killed run leaves nothing that looks finished
    shutil.rmtree(part.parent, ignore_errors=True)
    problems = []
    segmenters = {track: load_segmenter(run) for track, run in runs.items()}
    todo = [(track, name) for track in runs for name in images]
    for track, name in loops.bar(todo, desc="data sets", unit="set", disable=None):
        table = predict_folder(segmenters[track], images[name], part / track / name, SIZE, flat=True)
        if table.empty:
            raise FileNotFoundError(f"{images[name]} holds no image: give the folder of the test images of {name}")
        problems += table.loc[table.problem != "", "problem"].tolist()
    for path in earlier:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    part.rename(tree)
    part.parent.rmdir()
    pack(tree, archive)
    return archive, problems
