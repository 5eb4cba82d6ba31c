"""What may close a domain gap without another training, each with what it looks at and what it costs.

compare_remedies(cfg, run, eyes) -> F1 of every real test image under every remedy, scored as notebook 4 scores it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pandas as pd
import torch
from scipy.special import expit, logit
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cgdseg import loops, paths
from cgdseg.config import Config, Run, Size
from cgdseg.data.cache import open_cache
from cgdseg.data.stored import load_splits, select_ids
from cgdseg.models.contract import BATCH, Images, Predictor, Prompts, sclera_of
from cgdseg.models.lora import merge_lora
from cgdseg.models.predictor import Segmenter, load_trained
from cgdseg.scoring.calibration import LEAST_PROBABILITY, calibration_error, fit_temperature, reliability_of_pixels
from cgdseg.scoring.intervals import Sample, estimate
from cgdseg.scoring.metrics import f1_by_threshold
from cgdseg.scoring.statistics import holm
from cgdseg.scoring.tally import THRESHOLDS
from cgdseg.studies.scores.summaries import people_apart
from cgdseg.training.resume import read_history
from cgdseg.training.runs import segmenter_of

NOTHING, TARGET_IMAGES, TARGET_LABELS = "nothing of the target", "target images", "target labels"
ZOOMS = (0.8, 1.0, 1.25, 1.6)  # of test-time augmentation
FDA_BAND = 0.02  # half side of the low frequencies that are swapped, of the image's shorter side (the paper: 0.01-0.09)
REFERENCES = 40  # source images that histograms and spectra are taken from


@dataclass(frozen=True)
class Remedy:
    """A way to predict, the threshold that goes with it, what it looked at, and the seconds it took to prepare."""

    name: str
    looks_at: str
    predictor: Predictor
    threshold: float
    seconds: float = 0.0


@dataclass(frozen=True)
class Scored:
    """Images at the input size and their sclera (N, H', W') bool at the size they are scored at."""

    images: np.ndarray
    sclera: np.ndarray


def load_scored(cfg: Config, segmenter: Segmenter, image_ids: list[str]) -> Scored:
    pixels, truth = open_cache(cfg, segmenter.input_size), open_cache(cfg, cfg.evaluation.size)
    return Scored(np.stack([pixels.image(image_id) for image_id in image_ids]), truth.sclera(image_ids))


def compare_remedies(cfg: Config, run: Run, eyes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every remedy on the real images of `eyes` (`domains.draw_eyes`, with the source's validation images).

    Returns (scores, calibration). scores: remedy, looks_at, seconds (to prepare), ms (an image), label, image_id,
    subject, f1. calibration: label, temperature, threshold, error and error after, of `calibration_error`."""
    segmenter = segmenter_of(cfg, run)
    source = load_scored(cfg, segmenter, eyes.image_id[eyes.domain == "synthetic"].tolist())
    plain = sclera_of(segmenter, source.images, cfg.evaluation.size)
    size, chosen, errors = cfg.evaluation.size, [], []
    temperature = fit_temperature(plain, source.sclera)
    targets = eyes[eyes.domain == "real"].groupby("label", sort=False)
    for label, rows in loops.bar(targets, desc="remedies", leave=False):
        target = load_scored(cfg, segmenter, rows.image_id.tolist())
        probs = sclera_of(segmenter, target.images, size)
        softened = expit(logit(np.clip(probs, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)) / temperature)
        error = [calibration_error(reliability_of_pixels(p, target.sclera), foreground=True) for p in (probs, softened)]
        errors.append({"label": label, "temperature": temperature, "error": error[0], "error after": error[1]})
        made: dict[Predictor, tuple[np.ndarray, float]] = {}
        for remedy in remedies_for(cfg, segmenter, (source, plain), rows.dataset.iloc[0], (target, probs)):
            start = time.perf_counter()
            if remedy.predictor not in made:  # a threshold needs no new prediction
                found = sclera_of(remedy.predictor, target.images, size)
                made[remedy.predictor] = found, 1000 * (time.perf_counter() - start) / len(found)
            found, ms = made[remedy.predictor]
            f1 = f1_by_threshold(found, target.sclera, np.array([remedy.threshold]))[:, 0]
            about = {"remedy": remedy.name, "looks_at": remedy.looks_at, "seconds": remedy.seconds, "ms": ms}
            chosen.append(rows[["label", "image_id", "subject"]].assign(**about, f1=f1, threshold=remedy.threshold))
    return pd.concat(chosen, ignore_index=True), pd.DataFrame(errors)


def remedies_for(
    cfg: Config, segmenter: Segmenter, source: tuple[Scored, np.ndarray], name: str, target: tuple[Scored, np.ndarray]
) -> list[Remedy]:
    """The remedies for the test set `name`, the first of them none at all. source, target: eyes and plain predictions.

    `target` is for the oracle's threshold only."""
    usual, references = cfg.evaluation.threshold, source[0].images[:REFERENCES]
    twice = replace(segmenter, mirrored=True)
    found = [
        Remedy("none", NOTHING, segmenter, usual),
        Remedy("threshold of the source", NOTHING, segmenter, best_threshold(source[1], source[0].sclera)),
        Remedy("mirrored as well", NOTHING, twice, usual),
        Remedy("mirrored and at four zooms", NOTHING, Zoomed(twice, ZOOMS), usual),
        Remedy("histograms of the source", TARGET_IMAGES, Changed(segmenter, histogram_matcher(references)), usual),
        Remedy("Fourier adaptation", TARGET_IMAGES, Changed(segmenter, fourier_adapter(references)), usual),
    ]
    start = time.perf_counter()
    unlabelled, whose = unlabelled_images(cfg, segmenter, name)
    adapted = with_statistics_of(segmenter, unlabelled)
    if adapted is not None:
        seconds = time.perf_counter() - start
        found.append(Remedy(f"batch-norm statistics ({whose} images)", TARGET_IMAGES, adapted, usual, seconds))
    best = best_threshold(target[1], target[0].sclera)
    return [*found, Remedy("best threshold (oracle)", TARGET_LABELS, segmenter, best)]


@dataclass(frozen=True)
class Changed:
    """A predictor of images that are changed first."""

    predictor: Predictor
    change: Callable[[np.ndarray], np.ndarray]

    def predict(self, images: Images, prompts: Prompts = None, size: Size | None = None) -> list[np.ndarray]:
        return self.predictor.predict([self.change(image) for image in images], prompts, size)


@dataclass(frozen=True)
class Zoomed:
    """Mean logits over zooms about the middle of the frame; each counts only where it sees."""

    predictor: Predictor
    zooms: tuple[float, ...]

    def predict(self, images: Images, prompts: Prompts = None, size: Size | None = None) -> list[np.ndarray]:
        sizes = [size or image.shape[:2] for image in images]
        total, seen = ([np.zeros((1, *one)) for one in sizes] for _ in range(2))
        for zoom in self.zooms:
            views = [_zoomed(image, zoom, cv2.BORDER_REFLECT_101) for image in images]
            for i, maps in enumerate(self.predictor.predict(views, prompts, size)):  # (K, H, W)
                logits = logit(np.clip(maps, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
                total[i] = total[i] + np.stack([_zoomed(one, 1 / zoom, cv2.BORDER_CONSTANT) for one in logits])
                seen[i] = seen[i] + _zoomed(np.ones(sizes[i], np.float32), 1 / zoom, cv2.BORDER_CONSTANT)
        return [expit(t / np.maximum(s, 1e-6)).astype(np.float32) for t, s in zip(total, seen, strict=True)]


def best_threshold(probs: np.ndarray, sclera: np.ndarray) -> float:
    """The one of `tally.THRESHOLDS` with the highest mean F1; the middle one of several equals."""
    means = f1_by_threshold(probs, sclera, THRESHOLDS).mean(axis=0)
    best = np.flatnonzero(means >= means.max() - 1e-12)
    return float(THRESHOLDS[best[len(best) // 2]])


def _zoomed(picture: np.ndarray, zoom: float, border: int) -> np.ndarray:
    """A picture (H, W) or (H, W, 3) enlarged about its middle; pixel centres lie at whole numbers."""
    if zoom == 1:
        return picture
    height, width = picture.shape[:2]
    x, y = (width - 1) / 2, (height - 1) / 2
    place = np.array([[zoom, 0, x - zoom * x], [0, zoom, y - zoom * y]])
    return cv2.warpAffine(picture, place, (width, height), flags=cv2.INTER_LINEAR, borderMode=border)


def histogram_matcher(references: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Give each channel of an image the levels' distribution of all reference images (N, H, W, 3) together."""
    levels = np.arange(256)
    wanted = [_cumulative(references[..., c]) for c in range(3)]

    def match(image: np.ndarray) -> np.ndarray:
        tables = [np.interp(_cumulative(image[..., c]), wanted[c], levels) for c in range(3)]
        return np.stack([np.round(t).astype(np.uint8)[image[..., c]] for c, t in enumerate(tables)], axis=-1)

    return match


def _cumulative(channel: np.ndarray) -> np.ndarray:
    """Share of pixels at or below each level, those of the level itself counted half; strictly rising."""
    counts = np.bincount(channel.ravel(), minlength=256) + 1e-9
    return (counts.cumsum() - counts / 2) / counts.sum()


def fourier_adapter(references: np.ndarray, band: float = FDA_BAND) -> Callable[[np.ndarray], np.ndarray]:
    """Give an image the references' mean amplitudes at low frequencies, its own phase (Yang and Soatto 2020, eq. 3).

    They carry source images over to the target before training; here it is the other way round, before prediction."""
    amplitude = np.mean([np.abs(np.fft.fft2(image, axes=(0, 1))) for image in references], axis=0)
    height, width = references.shape[1:3]
    half = max(1, int(band * min(height, width)))
    rows, columns = (np.abs(np.fft.fftfreq(n, 1 / n)) <= half for n in (height, width))
    low = (rows[:, None] & columns[None, :])[..., None]

    def adapt(image: np.ndarray) -> np.ndarray:
        spectrum = np.fft.fft2(image, axes=(0, 1))
        swapped = np.where(low, amplitude, np.abs(spectrum)) * np.exp(1j * np.angle(spectrum))
        return np.clip(np.round(np.fft.ifft2(swapped, axes=(0, 1)).real), 0, 255).astype(np.uint8)

    return adapt


def unlabelled_images(cfg: Config, segmenter: Segmenter, dataset: str) -> tuple[np.ndarray, str]:
    """Images of a real dataset whose labels nobody looks at: its training part, or the test images where it has none.

    Returns (images at the input size, "training" or "test")."""
    splits = load_splits(cfg)
    tested = [i for i in select_ids(splits, cfg, cfg.gap.condition, "test") if i.split("/")[0] == dataset]
    trained = {i for condition in cfg.conditions for i in select_ids(splits, cfg, condition, "train")}
    ids = sorted({i for i in trained if i.split("/")[0] == dataset} - set(tested))
    cache = open_cache(cfg, segmenter.input_size)
    chosen = np.random.default_rng(0).permutation(ids or sorted(tested))[: cfg.gap.images]
    return cache.images[[cache.row(i) for i in sorted(chosen)]], "training" if ids else "test"


def with_statistics_of(segmenter: Segmenter, images: np.ndarray) -> Segmenter | None:
    """The same weights with batch-norm statistics of other images (AdaBN, Li et al. 2018); None without batch norms."""
    model = load_trained(paths.run_dir(segmenter.name))[0].to(segmenter.device)
    merge_lora(model)
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return None
    batches = [segmenter.to_batch(list(images[start : start + BATCH])) for start in range(0, len(images), BATCH)]
    measure_statistics(model.eval().requires_grad_(False), norms, batches)
    return replace(segmenter, model=model)


def measure_statistics(model: nn.Module, norms: list[_BatchNorm], batches: list[torch.Tensor]) -> None:
    """Set every norm's running statistics to the mean over batches, which weigh alike."""
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
        norm.train()
    with torch.inference_mode():
        for batch in batches:
            if len(batch) > 1 or len(batches) == 1:
                model(batch)
    model.eval()


def other_trainings(cfg: Config, run: Run, scores: pd.DataFrame, eyes: pd.DataFrame) -> pd.DataFrame:
    """The same images under the other conditions of the run's system and seed, from notebook 4's scores.

    A condition that trains on the people it is tested on is no remedy, and left out.
    Rows as those of `compare_remedies`; the seconds are those of the whole training."""
    mine = scores[(scores.part == "test") & (scores.system == run.system) & (scores.seed == run.seed)]
    mine = people_apart(cfg, mine)
    tables = []
    for condition, rows in mine[mine.condition != run.condition].groupby("condition", sort=False):
        sets = [cfg.datasets[name] for name in cfg.conditions[condition]]
        real = any(dataset.domain == "real" and not dataset.test_only for dataset in sets)
        known = eyes[["label", "image_id", "subject"]].merge(rows[["image_id", "f1"]], on="image_id")
        about = {"remedy": f"trained on {condition}", "looks_at": TARGET_LABELS if real else NOTHING}
        other = Run(system=run.system, condition=condition, seed=run.seed)
        spent = read_history(paths.run_dir(segmenter_of(cfg, other, "cpu").name)).seconds.sum()
        tables.append(known.assign(**about, seconds=spent, ms=np.nan))
    columns = ["remedy", "looks_at", "seconds", "ms", "label", "image_id", "subject", "f1"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def remedy_changes(found: pd.DataFrame) -> pd.DataFrame:
    """A row a remedy and test set: f1, its change against `none` with low, high, p and p (Holm), looks_at, seconds,
    times (as slow).

    The interval is paired: each person keeps both scores. p is adjusted for all remedies tried on the set, as the best
    of many does well by chance."""
    rows = []
    for label, group in found.groupby("label", sort=False):
        none = group[group.remedy == "none"].set_index("image_id")
        for name, mine in group.groupby("remedy", sort=False):
            moved = estimate(Sample(mine.f1 - mine.image_id.map(none.f1), mine.subject))
            low, high = moved.interval()
            row = {"remedy": name, "looks_at": mine.looks_at.iloc[0], "dataset": label, "f1": mine.f1.mean()}
            row |= {"change": moved.value, "low": low, "high": high, "p": moved.p() if name != "none" else np.nan}
            ms = mine.ms.fillna(none.ms.iloc[0]).iloc[0]  # another training of the system predicts as fast
            row |= {"seconds": mine.seconds.iloc[0], "times": ms / none.ms.iloc[0]}
            rows.append(row | {"images": len(mine), "subjects": mine.subject.nunique()})
    table = pd.DataFrame(rows)
    return table.assign(**{"p (Holm)": table.groupby("dataset").p.transform(lambda p: holm(p.to_numpy(float)))})
