"""What makes a model trained on rendered eyes work on eyes unlike them: one thing changed at a time, several seeds.

    python benchmarks/transfer.py factors --photos DIR    # leave one group of the renderer's factors out
    python benchmarks/transfer.py systems --photos DIR    # what CGDSeg needs to match a U-Net
    python benchmarks/transfer.py upsampling              # CGDSeg with each upsampler, and a SegNet that unpools
    python benchmarks/transfer.py peers                   # CGDSeg at its full width, a U-Net, SegFormer-B0
    python benchmarks/transfer.py grounding               # every form of grounding, with language and with random text
    python benchmarks/transfer.py circular                # eyes varied apart from how the stand-ins look

DIR holds photographs <name>.jpg and hand-drawn masks <name>_mask.png with a green sclera; without it only rendered
eyes are scored. A further study is one entry of STUDIES. Every training sees the same number of eyes. Finished
trainings are kept below data/ (CGDSEG_HOME), so a killed study goes on where it was.
Writes transfer-<study>.csv: variant, seed, eyes, set (rendered, photos, the look of a stand-in), image, f1."""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import pandas as pd
from tqdm import tqdm

from cgdseg import paths
from cgdseg.config import (
    Backbone,
    CGDSeg,
    Config,
    Dataset,
    Run,
    SegFormer,
    SegNet,
    Splits,
    StandIn,
    System,
    TextEncoder,
    Training,
    UNet,
)
from cgdseg.data import cache, manifest, splits
from cgdseg.data.standins import write_stand_in
from cgdseg.eyes.factors import GROUPS, Factors
from cgdseg.eyes.looks import LOOKS
from cgdseg.folders.score import score_photographs
from cgdseg.labels import KIT_COLOURS, LABELS, SCLERA
from cgdseg.models.contract import sclera_of
from cgdseg.models.layers import UPSAMPLERS
from cgdseg.models.predictor import load_segmenter
from cgdseg.scoring.metrics import count_pixels, scores
from cgdseg.training.loop import train
from cgdseg.training.runs import run_folder
from cgdseg.training.small_clip import pretrained_for

SIZE = (96, 128)
GREEN = (0, 255, 0)
ALL = "everything"
CHANNELS = (8, 16, 32, 64, 128)
SMALL_UNET = UNet(input_size=SIZE, channels=CHANNELS, classes=tuple(LABELS))


def small_cgdseg(backbone: dict | None = None, **changes) -> CGDSeg:
    """A small CGDSeg, near the demo's, but for changes of its backbone and of itself."""
    shape = {"patch_size": 8, "hidden_size": 64, "n_layers": 3, "n_heads": 4, "normalise": "image"}
    parts = {
        "backbone": Backbone(source="random", tuning="full", **shape | (backbone or {})),
        "text": TextEncoder(source="random", width=64),
    }
    widths = {"pyramid": (32, 40, 48), "decoder": (48, 40, 24), "growth": 8, "n_dense": 2, "squeeze": 8, "head": 12}
    return CGDSeg(input_size=SIZE, classes=tuple(LABELS), **parts | widths | {"detail": 12} | changes)


def wide_cgdseg(**changes) -> CGDSeg:
    """The slides' CGDSeg behind a backbone that can be trained from random weights."""
    shape = {"patch_size": 8, "hidden_size": 192, "n_layers": 6, "n_heads": 3, "normalise": "image"}
    backbone = Backbone(source="random", tuning="full", **shape)
    return CGDSeg(
        input_size=SIZE, classes=tuple(LABELS), backbone=backbone, text=TextEncoder(source="random"), **changes
    )


LANGUAGE = TextEncoder(source="rendered")  # a small CLIP of our own
WITH_TEXT = ("anchor", "prompts", "tokens", "similarity")
STUDIES: dict[str, dict[str, System]] = {  # study -> variant -> system
    "factors": {"unet": SMALL_UNET},  # its variants are datasets
    "circular": {"unet": SMALL_UNET},  # and so are these
    "systems": {
        "unet": SMALL_UNET,
        "cgdseg": small_cgdseg(),
        "imagenet_normalisation": small_cgdseg({"normalise": "imagenet"}),
        "no_detail": small_cgdseg(detail=0),
        "patch_4": small_cgdseg({"patch_size": 4}),
        "patch_16": small_cgdseg({"patch_size": 16, "hidden_size": 128}),
    },
    "upsampling": {
        **{kind.replace("-", "_"): small_cgdseg(upsample=kind) for kind in UPSAMPLERS},
        "segnet": SegNet(input_size=SIZE, channels=CHANNELS, classes=tuple(LABELS)),
    },
    "peers": {
        "cgdseg": wide_cgdseg(),
        "narrow_decoder": wide_cgdseg(pyramid=(32, 64, 128), decoder=(96, 64, 40), growth=12, n_dense=3, head=16),
        "unet_8M": UNet(input_size=SIZE, classes=tuple(LABELS)),
        "segformer_b0": SegFormer(input_size=SIZE, classes=tuple(LABELS)),
    },
    "grounding": {
        **{form: small_cgdseg(grounding=form) for form in ("none", "bias", "random")},
        **{form: small_cgdseg(grounding=form, text=LANGUAGE) for form in WITH_TEXT},
        **{f"{form}_of_random_text": small_cgdseg(grounding=form) for form in WITH_TEXT[1:]},
    },
}


TARGETS = ("masd", "sbvpi")  # whose ranges mostly lie inside those of `randomised`


def rendered(name: str, look: Factors) -> Dataset:
    """Eyes of a look, each of another person; what is stored of them validates or is scored."""
    factors = {factor: value for factor, value in look if value != getattr(LOOKS["randomised"], factor)}
    stand_in = StandIn(look="randomised", n_images=120, seed=11, size=SIZE, factors=factors)
    root = f"data/raw/transfer/{name}"
    return Dataset(layout="plain", root=root, domain="synthetic", colours=KIT_COLOURS, stand_in=stand_in)


def apart_from(target: Factors, look: Factors) -> Factors:
    """A look whose every range that the target narrows is cut to the longer side of what lies outside the target's.

    All is drawn at full spread: what is pulled towards its neutral point may end up inside."""
    changes = {"spread": (1.0, 1.0)}
    for name, (low, high) in ((name, ends) for name, ends in look if isinstance(ends, tuple) and name != "spread"):
        inner_low, inner_high = getattr(target, name)
        below, above = (low, max(low, inner_low)), (min(high, inner_high), high)
        if longest := max(below[1] - below[0], above[1] - above[0]):
            changes[name] = below if below[1] - below[0] == longest else above
    return look.model_copy(update=changes)


def looks_of(name: str) -> dict[str, Factors]:
    """The looks that a study trains on, by variant; `everything` is always among them."""
    varied, more = LOOKS["randomised"], {}
    if name == "factors":
        more = {f"no_{group}": varied.without(group) for group in GROUPS}
    if name == "circular":
        more = {f"apart_from_{target}": apart_from(LOOKS[target], varied) for target in TARGETS}
        more["syncroi"] = LOOKS["syncroi"]
    return {ALL: varied, **more}


def study(name: str, eyes: int, seeds: int) -> Config:
    datasets = {variant: rendered(variant, look) for variant, look in looks_of(name).items()}
    conditions = {variant: (variant,) for variant in datasets}
    if name == "circular":
        datasets |= {target: rendered(target, LOOKS[target]) for target in TARGETS}
    # wide models learn more gently; SegFormer's depthwise convolutions are slow in bf16 on a CPU
    way = {"lr": 1e-3, "precision": "no"} if name == "peers" else {"lr": 3e-3, "precision": "bf16"}
    training = Training(epochs=8, batch_size=16, stream=dict.fromkeys(conditions, eyes // 8), **way)
    return Config(name=f"transfer-{name}", datasets=datasets, conditions=conditions,
                  systems=STUDIES[name], seeds=tuple(range(1, seeds + 1)),
                  splits=Splits(val_fraction=0.2), training=training)  # fmt: skip


def prepare(cfg: Config, n_workers: int) -> None:
    for dataset in cfg.datasets.values():
        write_stand_in(dataset, n_workers)
    eyes, findings = manifest.build_manifest(cfg)
    manifest.save_manifest(cfg, eyes, findings)
    splits.save_splits(cfg, splits.make_splits(eyes, cfg))
    cache.build_cache(cfg, eyes, SIZE, n_workers=n_workers)
    pretrained_for(cfg)


def train_and_score(cfg: Config, run: Run, photos: Path | None) -> pd.DataFrame:
    """One row an image: `rendered` ones with everything varied, stored and never trained on, those of a target's look,
    and any photographs."""
    cv2.setNumThreads(1)
    train(cfg, run)
    segmenter = load_segmenter(run_folder(cfg, run))
    pixels = cache.open_cache(cfg, SIZE)
    tables = []
    for name in [ALL, *(target for target in TARGETS if target in cfg.datasets)]:
        rows = [row for row, image_id in enumerate(pixels.image_ids) if image_id.startswith(f"{name}/")]
        found = {"set": "rendered" if name == ALL else name, "image": [pixels.image_ids[row] for row in rows]}
        counts = count_pixels(sclera_of(segmenter, pixels.images[rows]), pixels.labels[rows] == SCLERA)
        tables.append(pd.DataFrame(found).assign(f1=scores(counts).f1))
    if photos:
        tables.append(score_photographs(segmenter, photos, GREEN).assign(set="photos"))
    variant = run.system if len(cfg.systems) > 1 else run.condition.replace("no_", "without ").replace("_", " ")
    eyes, table = cfg.streamed(run) * cfg.training.epochs, pd.concat(tables)
    return table.assign(variant=variant, seed=run.seed, eyes=eyes)[["variant", "seed", "eyes", "set", "image", "f1"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--photos", type=Path, help="folder of photographs and masks")
    parser.add_argument("--results", type=Path, default=paths.RESULTS, help="folder for the table")
    parser.add_argument("--eyes", type=int, default=3200, help="rendered eyes a training sees")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="trainings at a time, one thread each")
    options = parser.parse_args()
    cfg = study(options.study, options.eyes, options.seeds)
    prepare(cfg, options.workers)
    runs = sorted(cfg.runs(), key=lambda run: run.seed)  # a killed study has whole seeds
    target = options.results / f"{cfg.name}.csv"
    tables = []
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        jobs = [pool.submit(train_and_score, cfg, run, options.photos) for run in runs]
        for job in tqdm(jobs, desc=options.study, unit="training"):
            tables.append(job.result())
            pd.concat(tables).to_csv(target, index=False, float_format="%.5f")
    print(pd.concat(tables).groupby(["set", "variant"], sort=False).f1.mean().unstack(0).round(4))


if __name__ == "__main__":
    main()
