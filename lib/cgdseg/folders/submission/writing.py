"""Write a submission: the tree of both tracks at 400x300, and its archive.

In: finished runs and folders of test images. Out: SSBC_SEG_PREDICTIONS/ and SSBC_SEG_PREDICTIONS.zip."""

from collections.abc import Mapping
from pathlib import Path

from cgdseg import loops
from cgdseg.files import folder_atomic
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
    problems = []
    segmenters = {track: load_segmenter(run) for track, run in runs.items()}
    todo = [(track, name) for track in runs for name in images]
    with folder_atomic(tree) as part:  # a killed run leaves nothing that looks finished
        for track, name in loops.bar(todo, desc="data sets", unit="set", disable=None):
            table = predict_folder(segmenters[track], images[name], part / track / name, SIZE, flat=True)
            if table.empty:
                raise FileNotFoundError(f"{images[name]} holds no image: give the folder of the test images of {name}")
            problems += table.loc[table.problem != "", "problem"].tolist()
        archive.unlink(missing_ok=True)  # an earlier one would belong to another tree
    pack(tree, archive)
    return archive, problems
