"""What would cost a submission points, or get it refused.

In: a folder or an archive, and where known the test images and truth masks. Out: a finding a row: file, severity
(error or warning), fault, reason, mend. The submission itself is only read."""

import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cgdseg import loops
from cgdseg.config import RGB
from cgdseg.data.images import IMAGE_SUFFIXES, BadFile, resize_labels
from cgdseg.folders.pairing import BINARY, PROBABILITIES, mask_files, photographs, plain_stem, read_sclera
from cgdseg.folders.submission import SIZE, TOP, TRACKS
from cgdseg.folders.submission.archives import unpack
from cgdseg.folders.submission.faults import MARGIN, MEAN_MARGIN, Fault, compare_pair, fits, judge_fits, read_prediction
from cgdseg.scoring.ssbc import WHITE

KINDS = (PROBABILITIES, BINARY)
MANY_IMAGES = 5  # images whose mean says more than each of them
LEFT_BEHIND = {".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX"}  # by systems, in folders that people looked into


class SubmissionFinding(NamedTuple):
    file: str
    severity: str
    fault: str
    reason: str
    mend: str


def check_submission(
    path: Path,
    images: Mapping[str, Path] | None = None,
    truth: Mapping[str, Path] | None = None,
    colour: RGB | None = None,
) -> pd.DataFrame:
    """Findings of a submission, a row each; no row: nothing was found.

    images, truth: data set -> folder of its test images or truth masks (`data_sets`), which tell the names expected;
    truth also tells a mirrored data set. Raises FileNotFoundError when there is nothing at `path`."""
    path = path.resolve()
    if not (path.is_dir() or path.is_file()):  # a pipe would block
        raise FileNotFoundError(f"{path} is no folder and no file: give the folder or the archive of a submission")
    if path.is_dir():
        findings = _Check(path, images, truth, colour).run(packed=False)
    else:
        with tempfile.TemporaryDirectory() as folder:
            try:
                unpack(path, Path(folder))
                findings = _Check(Path(folder), images, truth, colour).run(packed=True)
            except BadFile as bad:
                findings = [SubmissionFinding(path.name, "error", "archive", bad.reason, bad.mend)]
    return pd.DataFrame(findings, columns=SubmissionFinding._fields)


class _Check:
    """One pass over an unpacked submission."""

    def __init__(self, folder: Path, images: Mapping | None, truth: Mapping | None, colour: RGB | None):
        self.folder, self.colour = folder, colour
        self.findings: list[SubmissionFinding] = []
        self.expected: dict[str, set[str]] = {}  # data set -> stems
        for name, where in (images or {}).items():
            self.expected.setdefault(name, set()).update(path.stem for path in photographs(where, where))
        self.masks: dict[str, dict[str, Path]] = {}
        for name, where in (truth or {}).items():
            self.masks[name] = {plain_stem(path): path for path in mask_files(where)}
            self.expected.setdefault(name, set()).update(self.masks[name])

    def run(self, packed: bool) -> list[SubmissionFinding]:
        """All findings. packed: what lies beside the top folder would be sent too."""
        top = self._find_top(packed)
        if top is not None:
            files = self._list_files(top)
            self._check_pictures(top, self._check_folders(top, files))
        return self.findings

    def _add(self, file: Path, fault: Fault) -> None:
        name = file.relative_to(self.folder).as_posix() if file != self.folder else file.name
        self.findings.append(SubmissionFinding(name, *fault))

    def _find_top(self, packed: bool) -> Path | None:
        """The folder SSBC_SEG_PREDICTIONS, or what stands for it."""
        mend = f"pack one folder {TOP}/ that holds {' and '.join(TRACKS)}"
        if self.folder.name == TOP:
            return self.folder
        if (self.folder / TOP).is_dir():
            for path in sorted(self.folder.iterdir()) if packed else []:
                if path.name != TOP:
                    self._add(path, _left_over(path))
            return self.folder / TOP
        for place in (self.folder, *sorted(self.folder.glob("*/")), *sorted(self.folder.glob("*/*/"))):
            if place.name == TOP or any((place / track).is_dir() for track in TRACKS):
                reason = f"stands where {TOP}/ should" if place.name != TOP else "does not lie on top"
                self._add(place, Fault("error", "top", reason, mend))
                return place
        self._add(self.folder, Fault("error", "top", f"holds no {TOP}/", mend))
        return None

    def _list_files(self, top: Path) -> dict[tuple[str, str, str], dict[str, Path]]:
        """(track, data set, kind) -> stem -> file; names what lies elsewhere."""
        files: dict[tuple[str, str, str], dict[str, Path]] = {}
        for where, folders, names in os.walk(top):
            folders[:] = sorted(folders)
            for name in [*folders, *sorted(names)]:
                path = Path(where, name)
                fault = _misplaced(path, path.relative_to(top).parts, name in folders)
                if fault:
                    self._add(path, fault)
                elif name not in folders:
                    track, data_set, kind, _ = path.relative_to(top).parts
                    files.setdefault((track, data_set, kind), {}).setdefault(path.stem, path)
                    if path.suffix != ".png":
                        mend = "save it as PNG; the evaluator looks for <stem>.png"
                        self._add(path, Fault("error", "not png", f"is named {path.suffix}", mend))
            folders[:] = [name for name in folders if name not in LEFT_BEHIND]
        return files

    def _check_folders(self, top: Path, files: Mapping) -> dict[str, dict[str, dict[str, dict[str, Path]]]]:
        """Name missing and extra folders and files; returns data set -> stem -> track -> kind -> file."""
        present = [track for track in TRACKS if (top / track).is_dir()]
        for track in TRACKS:
            if track not in present:
                mend = "add it, unless you enter one track only"
                self._add(top / track, Fault("warning" if present else "error", "track", "is missing", mend))
        sets = {path.name for track in present for path in (top / track).iterdir() if path.is_dir()}
        sets = (sets | set(self.expected)) - LEFT_BEHIND
        if not sets:
            self._add(top, Fault("error", "missing", "holds no data set", "put predictions into each track"))
        pictures: dict = {}
        for name in sorted(sets):
            seen = Counter(stem for track in present for kind in KINDS for stem in files.get((track, name, kind), {}))
            least = 2 if len(present) == 2 else 1  # one file where four belong is one too many, not three missing
            stems = self.expected.get(name) or {stem for stem, n in seen.items() if n >= least}
            known = name in self.expected or not self.expected
            for track in present:
                if not known:
                    mend = f"take it out; the test sets are {', '.join(sorted(self.expected))}"
                    self._add(top / track / name, Fault("error", "folder", "is no test set", mend))
                for kind in KINDS:
                    self._check_names(top / track / name / kind, files.get((track, name, kind), {}), stems)
                    for stem, path in files.get((track, name, kind), {}).items():
                        pictures.setdefault(name, {}).setdefault(stem, {}).setdefault(track, {})[kind] = path
        return pictures

    def _check_names(self, folder: Path, found: Mapping[str, Path], stems: set[str]) -> None:
        if not folder.is_dir():
            self._add(folder, Fault("error", "missing", "is missing", f"put {len(stems)} predictions there"))
            return
        for stem in sorted(stems - set(found)):
            self._add(folder / f"{stem}.png", Fault("error", "missing", "is missing", "predict its image"))
        for stem in sorted(set(found) - stems):
            self._add(found[stem], Fault("error", "extra", "belongs to no test image", "take it out"))

    def _check_pictures(self, top: Path, pictures: Mapping) -> None:
        fitted: dict[tuple[str, str, str, str], list[dict[str, float]]] = {}
        todo = [(name, stem) for name, stems in pictures.items() for stem in sorted(stems)]
        for name, stem in loops.bar(todo, desc="check", unit="image", disable=None):
            masks = {}
            for track, files in pictures[name][stem].items():
                binary = self._check_pair(files)
                if binary is not None:
                    masks[track] = binary == WHITE
            truth = self._truth(name, stem)
            for track, mask in masks.items():
                others = {f"the {other} track's": masks[other] for other in masks if other != track}
                for whose, other in others.items() if truth is None else [("its truth's", truth)]:
                    severity = "warning" if truth is None else "error"
                    f1 = fits(mask, other)
                    fitted.setdefault((track, name, severity, whose), []).append(f1)
                    for fault in judge_fits(f1, severity, whose, MARGIN):
                        self._add(pictures[name][stem][track][BINARY], fault)
        for (track, name, severity, whose), table in fitted.items():
            if len(table) >= MANY_IMAGES:
                for fault in judge_fits(pd.DataFrame(table).mean().to_dict(), severity, whose, MEAN_MARGIN):
                    self._add(top / track / name, fault)

    def _check_pair(self, files: Mapping[str, Path]) -> np.ndarray | None:
        """Faults of the files of one image and track, each and together; returns the binary, if it can be judged."""
        found = {}
        for kind, path in files.items():
            pixels, faults = read_prediction(path, binary=kind == BINARY)
            for fault in faults:
                self._add(path, fault)
            if pixels is not None:
                found[kind] = pixels
        if len(found) == len(KINDS):
            for fault in compare_pair(found[PROBABILITIES], found[BINARY]):
                self._add(files[PROBABILITIES], fault)
        return found.get(BINARY)

    def _truth(self, name: str, stem: str) -> np.ndarray | None:
        path = self.masks.get(name, {}).get(stem)
        return None if path is None else resize_labels(read_sclera(path, self.colour).astype(np.uint8), SIZE) > 0


def _misplaced(path: Path, parts: tuple[str, ...], is_folder: bool) -> Fault | None:
    """What is wrong with where a file or folder lies; parts: its path below the top."""
    if path.is_symlink():
        return Fault("error", "link", "is a link", "put the file itself there")
    if not is_folder:
        in_place = len(parts) == 4 and parts[0] in TRACKS and parts[2] in KINDS
        is_image = path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("._")
        return None if in_place and is_image else _left_over(path)
    if path.name in LEFT_BEHIND:
        return _left_over(path)
    names = {1: TRACKS, 3: KINDS}.get(len(parts))  # a data set may have any name
    if names and path.name not in names:
        return Fault("error", "folder", "is no folder of the kit", f"call it {' or '.join(names)}, or take it out")
    return None


def _left_over(path: Path) -> Fault:
    if path.name in LEFT_BEHIND or path.name.startswith("._"):
        return Fault("warning", "left behind", "was left behind by a system", "take it out")
    return Fault("error", "extra", "has no place in a submission", "take it out")
