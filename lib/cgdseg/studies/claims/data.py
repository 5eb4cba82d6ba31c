"""Checks of data: how many pairs, who is trained on and tested, what augmentation does, what files are called."""

import numpy as np
import pandas as pd

from cgdseg.data.augment import apply_one
from cgdseg.data.stored import select_ids
from cgdseg.folders.pairing import BINARY, PROBABILITIES
from cgdseg.labels import SCLERA
from cgdseg.studies.claims.evidence import Evidence, paper_config
from cgdseg.studies.claims.ledger import Found

# What others published, for claims about data sets that nobody may pass on.
KNOWN_PAIRS = {
    "SynCROI": "11,000 pairs, 10,000 of them to train on (kit of SSBC 2025)",
    "MASD": "2,624 images, and masks for part of them",
    "SBVPI": "1,858 images, 1,840 of them with a mask of the sclera",
}
KNOWN_COLOUR = {"SBVPI": "RGB photographs by a DSLR camera (Vitek et al. 2020, kit of SSBC 2025)"}
TEST_SETS_2025 = ("MOBIUS", "SMD", "SLD", "SynMOBIUS")  # SSBC 2025, kit and arXiv 2508.10737
TRAINING_SETS_2025 = ("SynCROI", "SBVPI")


def pairs(evidence: Evidence, dataset: str) -> Found:
    """Pairs that notebook 1 found, where the data set is there."""
    if evidence.is_real(dataset) and evidence.manifest is not None:
        n = int((evidence.manifest.dataset == dataset).sum())
        return Found(float(n), f"notebook 1 found {n:,} usable pairs")
    return Found(None, f"the images are not here; its owners publish {KNOWN_PAIRS[dataset]}", "nothing")


def part_size(evidence: Evidence, condition: str, part: str) -> Found:
    """Entries that follow when the slides' own pairs are split as the slides describe."""
    sets = pd.Series(_published(evidence, condition, part)).str.split("/").str[0]
    counts = ", ".join(f"{name} {n:,}" for name, n in sets.value_counts(sort=False).items())
    return Found(float(len(sets)), f"{counts}; 90 % of each real set train, each image three times", "slides")


def distinct_training_pairs(evidence: Evidence, condition: str) -> Found:
    """Different images in training when the slides' own pairs are split as the slides describe."""
    n = len(set(_published(evidence, condition, "train")))
    return Found(float(n), f"{condition} trains on {n:,} different pairs", "slides")


def seen_in_training(evidence: Evidence, condition: str, dataset: str) -> Found:
    """Share of a test set that is trained on when it is split and tested in full, as the slides count it."""
    test = {i for i in _published(evidence, condition, "test") if i.startswith(f"{dataset}/")}
    seen = test & set(_published(evidence, condition, "train"))
    said = (
        f"{len(seen):,} of the {len(test):,} images that the slides count as test are trained on, if a tenth is "
        "held back at random; that is the split which gives the slides' numbers of training and validation entries"
    )
    return Found(100 * len(seen) / len(test), said, "slides")


def _published(evidence: Evidence, condition: str, part: str) -> list[str]:
    return select_ids(evidence.slides_splits, paper_config(), condition, part, "published")


def sclera_share(evidence: Evidence) -> Found:
    """Mean share of sclera over the images of MASD and SBVPI."""
    real = [name for name in ("MASD", "SBVPI") if name in evidence.cfg.datasets]
    if evidence.manifest is None or not real:
        return Found(None, "notebook 1 has not run, or this config has neither MASD nor SBVPI", "nothing")
    rows = evidence.manifest[evidence.manifest.dataset.isin(real)]
    share = 100 * rows.sclera.mean()
    low, high = 100 * rows.sclera.quantile([0.05, 0.95])
    said = f"{len(rows):,} images, nine tenths of them between {low:.1f} and {high:.1f} %"
    basis = "computed" if all(map(evidence.is_real, real)) else "stand-in"
    return Found(float(share), f"{said}: a mask that is all background is right on {100 - share:.1f} %", basis)


def sensor(evidence: Evidence, dataset: str) -> Found:
    """The light that a data set was taken in, as its owners publish it."""
    return Found("visible light", KNOWN_COLOUR[dataset])


def shared_with_2025(evidence: Evidence, datasets: list[str]) -> Found:
    """Test sets that SSBC 2025 has in common with the slides; without one there is nothing to compare."""
    shared = sorted(set(datasets) & set(TEST_SETS_2025))
    trained = sorted(set(datasets) & set(TRAINING_SETS_2025))
    said = (
        f"SSBC 2025 tested on {', '.join(TEST_SETS_2025)}, and scored each image by itself; "
        f"{len(shared)} of these test sets are the slides', and {', '.join(trained)} was there to train on"
    )
    return Found(None, f"{said}. A comparison needs those sets", "nothing")


def geometry_moves_masks_too(evidence: Evidence, names: list[str]) -> Found:
    """A picture of its own mask, augmented by our pipeline: does the mask still lie on it?"""
    rows, columns = np.mgrid[:96, :128]
    mask = (((rows - 40) / 20) ** 2 + ((columns - 50) / 35) ** 2 < 1).astype(np.uint8)
    image = np.repeat(mask[..., None] * np.uint8(200), 3, axis=2)
    worst = 1.0
    for name in names:
        for seed in range(5):
            moved, labels = apply_one(name, image, mask, seed)
            seen = moved[..., 0] > 100
            worst = min(worst, (seen & (labels == SCLERA)).sum() / (seen | (labels == SCLERA)).sum())
    return Found(
        bool(worst > 0.95), f"over {5 * len(names)} draws their overlap (IoU) is at least {worst:.3f}", "config"
    )


def image_only(evidence: Evidence, name: str) -> Found:
    """Whether an augmentation of our pipeline changes the image and leaves the mask."""
    image, mask = np.full((96, 128, 3), 90, np.uint8), np.eye(96, 128, dtype=np.uint8)
    moved, labels = apply_one(name, image, mask, 1)
    changed = float((moved != image).any(axis=2).mean())
    moved_mask = int((labels != mask).sum())
    said = f"{changed:.0%} of the image's pixels change, {moved_mask} of the mask's"
    return Found(bool(changed > 0 and not moved_mask), said, "config")


def folder_names(evidence: Evidence) -> Found:
    """Folder names of a submission; no kit of 2026 is public."""
    return Found(None, f"no kit of 2026 is public; that of 2025 reads {PROBABILITIES} and {BINARY}", "nothing")
