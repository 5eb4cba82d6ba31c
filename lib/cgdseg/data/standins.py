"""Procedural stand-ins on disk, in the layouts and file names of the datasets they stand for.

write_stand_in(dataset) renders dataset.stand_in into dataset.folder. A pair is complete once its last file, the
sclera mask, exists; `stand-in.json` says what the folder holds, so a changed spec or renderer renders it anew."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from cgdseg.config import Dataset, StandIn
from cgdseg.data.images import encoded
from cgdseg.eyes import render_eye
from cgdseg.eyes.factors import Factors
from cgdseg.eyes.looks import LOOKS
from cgdseg.files import write_atomic
from cgdseg.hashes import code_digest
from cgdseg.labels import KIT_COLOURS, LABELS, SCLERA
from cgdseg.loops import in_parallel
from cgdseg.paths import short
from cgdseg.text import did_you_mean

CARD = "stand-in.json"
A_SHARE = 16  # eyes that are worth a process of their own
KIT = np.array([(0, 0, 0), *KIT_COLOURS.values()], np.uint8)  # by label
GAZES = "lrsu"


@dataclass(frozen=True)
class Item:
    """One pair to render. `masks` maps part names to paths; the pair is complete when the last of them exists."""

    index: int
    image: str  # paths relative to the folder
    masks: tuple[tuple[str, str], ...]
    subject: int | None = None  # None: whoever the index makes it
    eye: str | None = None
    gaze: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        return (self.image, *(path for _, path in self.masks))


def write_stand_in(dataset: Dataset, n_workers: int = 1, progress: bool = True) -> None:
    """Render what is missing of dataset.stand_in into dataset.folder.

    Raises FileExistsError when the folder holds files that no stand-in wrote: real data is never touched."""
    if dataset.stand_in is None:
        raise ValueError(f"the dataset at {short(dataset.folder)} has no stand_in to render")
    factors = stand_in_factors(dataset.stand_in)
    folder = dataset.folder
    _claim(folder, _card(dataset.layout, dataset.stand_in))
    missing = [i for i in plan(dataset.layout, dataset.stand_in) if not (folder / i.files[-1]).exists()]
    job = functools.partial(_render, folder, factors, dataset.stand_in)
    title = f"render {folder.name}" if progress and missing else None
    for _ in in_parallel(job, missing, min(n_workers, len(missing) // A_SHARE), title, heavy=True):
        pass


def stand_in_factors(spec: StandIn) -> Factors:
    """The look of a stand-in with its own ranges; ValueError names what is wrong."""
    if spec.look not in LOOKS:
        raise ValueError(f"stand_in.look: there is no look {spec.look!r}{did_you_mean(spec.look, LOOKS)}")
    try:
        return Factors(**{**LOOKS[spec.look].model_dump(), **spec.factors})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'][:1]))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"stand_in.factors: {problems}") from None


def plan(layout: str, spec: StandIn) -> list[Item]:
    """Every pair of a stand-in, named as the real dataset names its files."""
    if layout not in _LAYOUTS:
        raise ValueError(f"stand-ins are written as {', '.join(_LAYOUTS)}, not as {layout}")
    return [_LAYOUTS[layout](index, spec) for index in range(spec.n_images)]


def _commanded(index: int, spec: StandIn) -> tuple[int, str, str, int]:
    """Subject from 0, eye, gaze and running number from 1: spread evenly, subjects fastest."""
    rest, subject = divmod(index, spec.n_subjects)
    rest, eye = divmod(rest, 2)
    number, gaze = divmod(rest, len(GAZES))
    return subject, "LR"[eye], GAZES[gaze], number + 1


def _anonymous(index: int, spec: StandIn) -> int | None:
    """The subject where file names tell none: with one subject (the default) every image is a person of its own."""
    return index % spec.n_subjects if spec.n_subjects > 1 else None


def _syncroi(index: int, spec: StandIn) -> Item:
    part = "Validation" if index % 11 == 10 else "Training"  # 10:1 as published
    base, name = f"Synthetic_SIP/{part}", f"{index}.png"
    return Item(index, f"{base}/Images/{name}", (("sip", f"{base}/Masks/{name}"),), _anonymous(index, spec))


def _plain(index: int, spec: StandIn) -> Item:
    return Item(index, f"Images/{index}.jpg", (("sip", f"Masks/{index}.png"),), _anonymous(index, spec))


def _sbvpi(index: int, spec: StandIn) -> Item:
    subject, eye, gaze, number = _commanded(index, spec)
    stem = f"{subject + 1}/{subject + 1}{eye}_{gaze}_{number}"
    # iris and pupil are labelled on few images, as in the published set (about 122 of 1,858)
    parts = ["sclera"] if (index + index // spec.n_subjects) % 10 else ["iris", "pupil", "sclera"]
    masks = tuple((part, f"{stem}_{part}.png") for part in parts)
    return Item(index, f"{stem}.jpg", masks, subject=subject, eye=eye, gaze=gaze)


def _masd(index: int, spec: StandIn) -> Item:
    subject, eye, gaze, number = _commanded(index, spec)
    stem = f"{subject + 101}{eye}_{gaze}_{number}"  # MASD1 has the ids from 100 in the Ljubljana naming
    masks = (("grey", f"Masks/{stem}.png"),)
    return Item(index, f"Images/{stem}.jpg", masks, subject=subject, eye=eye, gaze=gaze)


_LAYOUTS = {"syncroi": _syncroi, "sbvpi": _sbvpi, "masd": _masd, "plain": _plain}


def _card(layout: str, spec: StandIn) -> dict:
    """What stand-in.json holds."""
    return {
        "what": "procedural stand-in: rendered eyes, no photographs",
        "layout": layout,
        "spec": spec.model_dump(mode="json"),
        "renderer": renderer_digest(),
    }


@functools.cache
def renderer_digest() -> str:
    """SHA-256 of the renderer's code; comments and docstrings do not count."""
    return code_digest(["cgdseg.eyes", "cgdseg.eyes.looks"])


def _claim(folder: Path, card: dict) -> None:
    """Make sure the folder is this stand-in's own; remove what another spec or renderer left in it."""
    path = folder / CARD
    if path.exists():
        old = json.loads(path.read_text())
        if old == card:
            return
        for item in plan(old["layout"], StandIn(**old["spec"])):
            for name in item.files:
                (folder / name).unlink(missing_ok=True)
    for stale in folder.rglob("*.part"):
        stale.unlink()
    foreign = next((f for f in folder.rglob("*") if f.is_file() and f != path), None)
    if foreign is not None:
        raise FileExistsError(
            f"{short(folder)} holds files that are not a stand-in's, such as {foreign.relative_to(folder)}: "
            "remove stand_in from this dataset's config to use them, or give the stand-in another root"
        )
    write_atomic(path, json.dumps(card, indent=2) + "\n")


def _render(folder: Path, factors: Factors, spec: StandIn, item: Item) -> None:
    who = {"subject": item.subject, "eye": item.eye, "gaze": item.gaze}
    eye = render_eye(factors, spec.seed, item.index, spec.size, **who)
    write_atomic(folder / item.image, encoded(item.image, eye.image))
    for part, path in item.masks:
        write_atomic(folder / path, encoded(path, _mask(part, eye.labels)))


def _mask(part: str, labels: np.ndarray) -> np.ndarray:
    """Labels (H, W) as the dataset stores them: the kit's colours, one grey mask, or one RGBA mask per part."""
    if part == "sip":
        return KIT[labels]
    chosen = labels == LABELS.get(part, SCLERA)
    white = chosen.astype(np.uint8) * 255
    return white if part == "grey" else np.dstack([white, white, white, np.full_like(white, 255)])
