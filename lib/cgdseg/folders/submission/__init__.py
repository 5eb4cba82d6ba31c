"""Submissions to the SSBC: written, packed, unpacked safely, and checked.

The tree is the 2025 kit's, of grey 8-bit PNGs at 400x300 (width x height):
SSBC_SEG_PREDICTIONS/<Synthetic|Mixed>/<data set>/<Predictions|Binarised>/<stem>.png"""

from pathlib import Path

TOP = "SSBC_SEG_PREDICTIONS"
TRACKS = ("Synthetic", "Mixed")  # named by what a model was trained on
SIZE = (300, 400)  # (H, W)


def data_sets(folder: Path, kind: str) -> dict[str, Path]:
    """The data sets in a folder, a sub-folder each: name -> its `kind` folder (Images, Masks), or itself without one.

    Raises FileNotFoundError where there is none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: give one with a sub-folder for each data set")
    found = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name != TOP]
    sets = {path.name: path / kind if (path / kind).is_dir() else path for path in found if path.name[0] != "."}
    if not sets or kind in sets:
        raise FileNotFoundError(f"{folder} holds no data sets: give the folder above, with a sub-folder for each")
    return sets
