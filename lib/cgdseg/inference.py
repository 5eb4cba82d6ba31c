"""Prediction with a trained run, and scores of predicted files.

images (H, W, 3) uint8 of any size -> probabilities (H, W) float32 at native or any asked size."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter
from torch import nn

from cgdseg import checkpoints, live
from cgdseg.config import RGB, Part, Precision, Size, System
from cgdseg.data.images import BadFile, read_image, resize_image
from cgdseg.encoders import merge_lora
from cgdseg.files import write_atomic
from cgdseg.folders import BINARY, PROBABILITIES, by_name, mask_files, photographs, prediction_of, read_sclera
from cgdseg.layers import fold_norms
from cgdseg.memory import keep_freed_memory
from cgdseg.metrics import SCORES, count_pixels, scores
from cgdseg.paths import RELEASE, short
from cgdseg.pictures import outline
from cgdseg.systems import build_system
from cgdseg.training import read_run


@dataclass(frozen=True)
class Segmenter:
    """A trained system, ready to predict."""

    name: str
    model: nn.Module
    input_size: Size
    classes: tuple[Part, ...]
    threshold: float
    temperature: float  # logits are divided by it: calibrated on validation eyes, 1 where nobody did
    device: torch.device
    mirrored: bool = False  # each image is also seen mirrored, and both logits are averaged: twice the time
    precision: Precision = "no"

    def to_batch(self, images: list[np.ndarray]) -> torch.Tensor:
        """Images (H, W, 3) uint8 -> (B, 3, H, W) in [0, 1] at the input size, on the device."""
        small = np.stack([resize_image(image, self.input_size) for image in images])
        return torch.from_numpy(small).permute(0, 3, 1, 2).to(self.device).float() / 255  # channels last in memory

    @torch.inference_mode()
    def predict_classes(
        self, images: list[np.ndarray], size: Size | None = None, first: int | None = None
    ) -> list[np.ndarray]:
        """Images (H, W, 3) uint8 -> probabilities (K, H, W) float32 of `classes`, or of the first so many of them.

        At `size` or the image's own; for large photographs the enlarging takes as long as the model."""
        batch = self.to_batch(images)
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        with torch.autocast(self.device.type, half, enabled=half is not None):
            logits = self.model(batch).float()  # (B, K, H, W)
            if self.mirrored:
                logits = (logits + self.model(batch.flip(3)).float().flip(3)) / 2
        probs = (logits[:, :first] / self.temperature).sigmoid()
        sizes = [size or image.shape[:2] for image in images]
        return [
            F.interpolate(prob[None], size=out, mode="bilinear", align_corners=False)[0].cpu().numpy()
            for prob, out in zip(probs, sizes, strict=True)
        ]

    def predict(self, images: list[np.ndarray], size: Size | None = None) -> list[np.ndarray]:
        """Images (H, W, 3) uint8 -> sclera probabilities (H, W) float32, each at `size` or at its image's own."""
        return [probs[0] for probs in self.predict_classes(images, size, first=1)]


def load_segmenter(
    folder: str | Path = RELEASE, device: str | None = None, precision: Precision = "no", compiled: bool = False
) -> Segmenter:
    """Load a finished run from its folder (data/runs/<run id>), or the release model; no hub is asked.

    `precision`: bf16 is faster where the processor has it, fp16 is for CUDA. `compiled`: by torch.compile,
    which pays off after hundreds of images.
    Raises FileNotFoundError when the run is not finished, BrokenCheckpoint when its weights were altered."""
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if precision == "fp16" and where.type != "cuda":
        raise ValueError("precision fp16 needs CUDA: use bf16 or no")
    model, settings, card = load_trained(folder)
    merge_lora(model)
    fold_norms(model.eval())
    keep_freed_memory()
    model = model.requires_grad_(False).to(where, memory_format=torch.channels_last)
    if compiled:
        model = torch.compile(model)
    calibrated = card["threshold"], card.get("temperature", 1.0)
    mirrored = card.get("mirrored", False)
    shape = settings.input_size, settings.classes
    return Segmenter(card["run_id"], model, *shape, *calibrated, where, mirrored, precision)


def load_trained(folder: str | Path) -> tuple[nn.Module, System, dict]:
    """The model of a finished run with its own weights, as it was trained; its settings and its run.json.

    Raises as `load_segmenter` does."""
    folder = Path(folder)
    card = read_run(folder)
    if card is None:
        raise FileNotFoundError(f"{short(folder)} holds no finished run: run notebooks/03_training.ipynb first")
    settings = TypeAdapter(System).validate_python(card["system"])
    tensors, _ = checkpoints.load(folder / "best.safetensors")
    model = build_system(settings)
    checkpoints.load_model(model, tensors)
    return model, settings, card


def predict_folder(
    segmenter: Segmenter,
    images: Path,
    out: Path,
    size: Size | None = None,
    classes: bool = False,
    overlays: bool = False,
    flat: bool = False,
) -> pd.DataFrame:
    """Write Predictions/<stem>.png (probability * 255) and Binarised/<stem>.png (0 or 255) for every image.

    classes: also Iris/, Pupil/ and Opening/ (their union with the sclera), 0 or 255. overlays: also Overlays/ with the
    borders drawn in. flat: sub-folders of the images are not kept. Returns one row a file: file, height, width, sclera
    (fraction), problem. A file that can not be read is named there with its mend and left out; two images that would
    share one output are refused beforehand."""
    if classes and len(segmenter.classes) < 3:
        raise ValueError(f"{segmenter.name} knows no iris and pupil: use a run whose `classes` name them")
    files = photographs(images, out)
    names = pd.Series(files, dtype=object).map(lambda path: path.relative_to(images).with_suffix(".png"))
    targets = names.map(lambda path: Path(path.name)) if flat else names
    clashes = targets[targets.duplicated(keep=False)]
    if len(clashes):
        twins = ", ".join(str(files[i].relative_to(images)) for i in clashes.index)
        raise ValueError(f"{twins} would share one output name: rename one of each")
    rows = []
    for path, target in live.bar(list(zip(files, targets, strict=True)), desc="predict", unit="image", disable=None):
        row = {"file": str(path.relative_to(images))}
        try:
            image = read_image(path)
        except BadFile as error:
            rows.append(row | {"problem": str(error)})
            continue
        probs = segmenter.predict_classes([image], size, first=None if classes or overlays else 1)[0]
        masks = probs >= segmenter.threshold  # (K, H, W)
        pictures = {PROBABILITIES: np.round(probs[0] * 255).astype(np.uint8), BINARY: _white(masks[0])}
        if classes:
            pictures |= {"Iris": _white(masks[1]), "Pupil": _white(masks[2]), "Opening": _white(masks.any(axis=0))}
        if overlays:
            pictures["Overlays"] = outline(resize_image(image, masks.shape[1:]), masks)
        for name, picture in pictures.items():
            write_png(out / name / target, picture)
        height, width = masks.shape[1:]
        rows.append(row | {"height": height, "width": width, "sclera": masks[0].mean(), "problem": ""})
    return pd.DataFrame(rows, columns=["file", "height", "width", "sclera", "problem"])


def _white(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 255, 0).astype(np.uint8)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write a grey (H, W) or RGB (H, W, 3) uint8 picture; never half a file."""
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    ok, encoded = cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels, fast)
    if not ok:
        raise ValueError(f"{path} could not be encoded: {pixels.shape} {pixels.dtype}")
    write_atomic(path, encoded.tobytes())


def score_folders(predictions: Path, truth: Path, sclera: RGB | None = None, threshold: float = 0.5) -> pd.DataFrame:
    """Score predicted files against truth masks of the same stem, at the truth's size.

    `predictions`: the --out folder of predict (its Predictions/ is used), or a folder of grey or 0/255 PNGs.
    `sclera`: the sclera's colour in coloured truth masks; None: white, or the SSBC kit's red.
    Returns one row a truth mask: file, f1, iou, precision, recall, mae, problem; a missing or unreadable file
    is named in `problem` and has no scores."""
    folder = predictions / PROBABILITIES if (predictions / PROBABILITIES).is_dir() else predictions
    found = by_name(folder)
    rows = []
    for path in mask_files(truth):
        row = {"file": str(path.relative_to(truth))}
        try:
            mask = read_sclera(path, sclera)
            prediction = prediction_of(path, truth, found, folder)
            prob = read_image(prediction)[..., 0].astype(np.float32) / 255
        except BadFile as error:
            rows.append(row | {"problem": str(error)})
            continue
        if prob.shape != mask.shape:
            prob = cv2.resize(prob, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        counts = count_pixels(prob[None], mask[None], threshold)
        rows.append(row | scores(counts).iloc[0].to_dict() | {"problem": ""})
    return pd.DataFrame(rows, columns=["file", *SCORES, "problem"])


def score_photographs(predict: Callable[[np.ndarray], np.ndarray], folder: Path, sclera: RGB | None) -> pd.DataFrame:
    """F1 of `predict` (image -> probabilities (H, W) at its size) on photographs beside masks <stem>_mask.png.

    Returns a row a photograph: image, f1. Raises BadFile, or FileNotFoundError where there is none."""
    rows = []
    for path in photographs(folder, folder):
        mask = read_sclera(path.with_name(f"{path.stem}_mask.png"), sclera)
        counts = count_pixels(predict(read_image(path))[None], mask[None])
        rows.append({"image": path.stem, "f1": float(scores(counts).f1.iloc[0])})
    if not rows:
        raise FileNotFoundError(f"{folder} holds no photographs with masks named <stem>_mask.png beside them")
    return pd.DataFrame(rows)
