"""How many real people close the gap: a trained run goes on learning from its source and the images of k real people.

climb(cfg, run, tested) -> F1 of every tested image, for each k and seed. Every rung takes the same number of steps, and
k = 0 takes them on the source alone, so that more steps are not mistaken for more people."""

import functools
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.data import default_collate

from cgdseg import paths
from cgdseg.config import Config, Run
from cgdseg.data.batches import EyeDataset, chosen_augmentation
from cgdseg.data.cache import open_cache
from cgdseg.data.stored import load_manifest, load_splits, part_ids, read_csv, select_ids
from cgdseg.files import write_atomic
from cgdseg.hashes import code_digest, digest
from cgdseg.loops import in_parallel
from cgdseg.models import weights
from cgdseg.models.contract import sclera_of
from cgdseg.models.memory import keep_freed_memory
from cgdseg.models.predictor import Segmenter, load_trained
from cgdseg.models.weights import read_run
from cgdseg.scoring.intervals import Sample, estimate
from cgdseg.scoring.metrics import count_pixels, scores
from cgdseg.scoring.statistics import holm, images_of, mean_interval
from cgdseg.training.objectives import Segmentation
from cgdseg.training.runs import segmenter_of
from cgdseg.training.session import new_learner, open_session, start_accelerator, train_step

MOVED = ("change", "change low", "change high", "p")
REAL_SHARE = 0.5  # of every batch, as soon as there are real people


@dataclass(frozen=True)
class Rung:
    """One training: its seed, and whose images it learns from beside the source."""

    seed: int
    people: tuple[str, ...]
    image_ids: tuple[str, ...]


def people_to_train_on(cfg: Config, tested: pd.DataFrame) -> pd.DataFrame:
    """Training images (image_id, subject) of real people, none of whom is among those tested."""
    splits = load_splits(cfg)
    trained = {i for condition in cfg.conditions for i in select_ids(splits, cfg, condition, "train")}
    eyes = load_manifest(cfg)[["image_id", "domain", "subject"]]
    eyes = eyes[eyes.image_id.isin(trained) & (eyes.domain == "real")]
    return eyes[~eyes.subject.isin(tested.subject)].sort_values("image_id", ignore_index=True)


def rungs(cfg: Config, tested: pd.DataFrame) -> list[Rung]:
    """`gap.subjects` people by `gap.seeds`; each seed has its own order of people, and more people include fewer.

    Numbers above the people there are stand for all of them."""
    eyes = people_to_train_on(cfg, tested)
    names = sorted(eyes.subject.unique())
    counts = sorted({min(k, len(names)) for k in cfg.gap.subjects})
    found = []
    for seed in range(cfg.gap.seeds):
        order = np.random.default_rng([cfg.splits.seed, seed]).permutation(names).tolist()
        for k in counts:
            mine = eyes[eyes.subject.isin(order[:k])]
            found.append(Rung(seed, tuple(order[:k]), tuple(mine.image_id)))
    return found


def climb(cfg: Config, run: Run, tested: pd.DataFrame) -> pd.DataFrame:
    """Train and score every rung: image_id, label, subject, f1, seconds, people (k), images (of theirs), seed.

    `tested` has image_id, label and subject. What was trained before with the same code, weights, images and settings
    is read from disk (`paths.rung_csv`)."""
    folder = paths.run_dir(segmenter_of(cfg, run, "cpu").name)
    plan = rungs(cfg, tested)
    kept = dict(zip(plan, map(paths.rung_csv, rung_recipes(cfg, run, folder, plan, tested)), strict=True))
    missing = [rung for rung, path in kept.items() if not path.exists()]
    job = functools.partial(_train_and_score, cfg, run, folder, tested)
    n_workers = 1 if torch.cuda.is_available() else cfg.workers  # a GPU trains one after the other
    for rung, table in zip(missing, in_parallel(job, missing, n_workers, "real people", heavy=True), strict=True):
        write_atomic(kept[rung], table.to_csv(index=False))
    tables = []
    for rung, path in kept.items():
        known = {"people": len(rung.people), "images": len(rung.image_ids), "seed": rung.seed}
        table = tested[["image_id", "label", "subject"]].merge(read_csv(path, ["image_id"]), on="image_id")
        tables.append(table.assign(**known))
    return pd.concat(tables, ignore_index=True)


def rung_recipes(cfg: Config, run: Run, folder: Path, plan: list[Rung], tested: pd.DataFrame) -> list[str]:
    """For each rung a hash of all that its scores depend on."""
    hashes = load_manifest(cfg).set_index("image_id")[["image_sha256", "mask_sha256"]]
    source = part_ids(cfg, run.condition, "train")
    common = {
        "weights": read_run(folder)["weights_sha256"],
        "training": cfg.training.model_copy(update={"n_workers": 0, "stream": {}}),
        "evaluation": [cfg.evaluation.size, cfg.evaluation.threshold],
        "batches": [cfg.gap.steps, cfg.gap.batch_size],
        "code": code_digest(["cgdseg.studies.gap.ladder", *cfg.systems[run.system].modules()]),
    }
    found = []
    for rung in plan:
        used = [*source, *rung.image_ids, *tested.image_id]
        entries = [[image_id, *hashes.loc[image_id]] for image_id in used]
        found.append(digest(common | {"rung": [rung.seed, rung.people], "entries": entries})[:16])
    return found


def train_on(cfg: Config, run: Run, folder: Path, rung: Rung) -> Segmenter:
    """The finished run in `folder`, trained on for `gap.steps` batches with the config's own recipe.

    The learning rate falls from its start to its end once more. From the first person on, half of every batch are
    real eyes; without people all of it is the source's."""
    source = list(dict.fromkeys(part_ids(cfg, run.condition, "train")))
    batch_size = cfg.gap.batch_size or cfg.training.batch_size
    settings = cfg.training.model_copy(update={"epochs": cfg.gap.steps})  # the schedule falls at each step
    trained, system, card = load_trained(folder)
    pixels, augment = open_cache(cfg, system.input_size), chosen_augmentation(settings, rung.seed)
    eyes = EyeDataset(pixels, [*source, *rung.image_ids], augment)
    accelerator = start_accelerator(settings)
    objective = Segmentation(system, settings)
    learner = new_learner(accelerator, objective, settings, rung.seed)
    weights.load_model(learner.model, weights.model_tensors(trained))
    session = open_session(accelerator, learner, objective, settings)
    session.model.train()
    for step in range(cfg.gap.steps):
        eyes.set_epoch(step)
        rows = batch_rows(len(source), len(rung.image_ids), batch_size, rung.seed, step)
        batch = default_collate([eyes[row] for row in rows])
        batch = {name: values.to(accelerator.device) for name, values in batch.items()}
        train_step(session, batch, f"step {step} of {cfg.gap.steps} with {len(rung.people)} real people")
        learner.scheduler.step()
    kept = learner.kept.eval().requires_grad_(False)
    return Segmenter(
        name=card["run_id"],
        model=kept,
        input_size=system.input_size,
        classes=system.classes,
        threshold=cfg.evaluation.threshold,
        device=accelerator.device,
    )


def batch_rows(n_source: int, n_real: int, batch_size: int, seed: int, step: int) -> list[int]:
    """Rows of one batch: of the source from 0, of real eyes from n_source; a function of (seed, step) alone."""
    rng = np.random.default_rng([seed, step])
    real = int(batch_size * REAL_SHARE) if n_real else 0
    rows = rng.integers(n_source, size=batch_size - real).tolist()
    return rows + (n_source + rng.integers(n_real, size=real)).tolist() if real else rows


def _train_and_score(cfg: Config, run: Run, folder: Path, tested: pd.DataFrame, rung: Rung) -> pd.DataFrame:
    torch.set_num_threads(cfg.training.n_threads)
    keep_freed_memory()
    start = time.perf_counter()
    segmenter = train_on(cfg, run, folder, rung)
    seconds = time.perf_counter() - start
    return pd.DataFrame({"image_id": tested.image_id, "f1": f1_of_images(cfg, segmenter, tested), "seconds": seconds})


def f1_of_images(cfg: Config, segmenter: Segmenter, chosen: pd.DataFrame) -> np.ndarray:
    """F1 (N,) of chosen images (image_id), scored as notebook 4 scores them."""
    pixels, truth = open_cache(cfg, segmenter.input_size), open_cache(cfg, cfg.evaluation.size)
    images = [pixels.image(image_id) for image_id in chosen.image_id]
    probs = sclera_of(segmenter, images, cfg.evaluation.size, cfg.evaluation.batch_size)
    return scores(count_pixels(probs, truth.sclera(chosen.image_id), cfg.evaluation.threshold)).f1.to_numpy()


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """A row a test set, number of people and seed: dataset, people, images, seed, f1, low, high, change, change low,
    change high, p, p (Holm), seconds, tested, people tested.

    All but seed and f1 are of the seeds together. low, high: over people who are tested and seeds. change: against
    people = 0 on the same image and seed, with its interval; p is adjusted for the numbers of people tried."""
    rows, keys = [], ["seed", "image_id"]
    for label, group in found.groupby("label", sort=False):
        none = group[group.people == group.people.min()].set_index(keys).f1
        for people, mine in group.groupby("people", sort=True):
            ends = mean_interval(Sample(mine.f1, mine.subject, trainings=mine.seed))
            row = {"dataset": label, "people": people, "images": mine.images.mean()}
            row |= dict(zip(("low", "high"), ends, strict=True)) | dict.fromkeys(MOVED, np.nan)
            if people:
                change = mine.f1.to_numpy() - none.loc[pd.MultiIndex.from_frame(mine[keys])].to_numpy()
                moved = estimate(Sample(change, mine.subject, trainings=mine.seed))
                row |= dict(zip(MOVED, (moved.value, *moved.interval(), moved.p()), strict=True))
            row |= {"seconds": mine.seconds.mean(), "tested": images_of(mine), "people tested": mine.subject.nunique()}
            rows += [row | {"seed": seed, "f1": own.f1.mean()} for seed, own in mine.groupby("seed")]
    table = pd.DataFrame(rows)
    keys = ["dataset", "people"]
    each = table.drop_duplicates(keys).set_index(keys)
    adjusted = each.groupby("dataset").p.transform(lambda p: holm(p.to_numpy(float))).rename("p (Holm)")
    return table.join(adjusted, on=keys)
