"""Prediction with a trained run, and scores of predicted files.

images (H, W, 3) uint8 of any size -> probabilities (H, W) float32 at native or any asked size."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter
from torch import nn
from tqdm import tqdm

from cgdseg import checkpoints
from cgdseg.config import RGB, Size, System
from cgdseg.data.images import IMAGE_SUFFIXES, BadFile, read_image, read_labels, resize_image
from cgdseg.files import write_atomic
from cgdseg.metrics import count_pixels, scores
from cgdseg.paths import short
from cgdseg.systems import build_system
from cgdseg.training import SCLERA, read_run

PROBABILITIES, BINARY = "Predictions", "Binarised"  # the SSBC 2025 kit's folder names


@dataclass(frozen=True)
class Segmenter:
    """A trained system, ready to predict."""

    name: str
    model: nn.Module
    input_size: Size
    threshold: float
    device: torch.device

    def to_batch(self, images: list[np.ndarray]) -> torch.Tensor:
        """Images (H, W, 3) uint8 -> (B, 3, H, W) in [0, 1] at the input size, on the device."""
        small = np.stack([resize_image(image, self.input_size) for image in images])
        return torch.from_numpy(small).permute(0, 3, 1, 2).to(self.device).float() / 255  # channels last in memory

    @torch.inference_mode()
    def predict(self, images: list[np.ndarray], size: Size | None = None) -> list[np.ndarray]:
        """Images (H, W, 3) uint8 -> sclera probabilities (H, W) float32, each at `size` or at its image's own."""
        probs = self.model(self.to_batch(images)).float().sigmoid()  # (B, 1, H, W)
        sizes = [size or image.shape[:2] for image in images]
        return [
            F.interpolate(prob[None], size=out, mode="bilinear", align_corners=False)[0, 0].cpu().numpy()
            for prob, out in zip(probs, sizes, strict=True)
        ]


def load_segmenter(folder: str | Path, device: str | None = None) -> Segmenter:
    """Load a finished run from its folder (data/runs/<run id>); no hub is asked.

    Raises FileNotFoundError when the run is not finished, BrokenCheckpoint when its weights were altered."""
    folder = Path(folder)
    card = read_run(folder)
    if card is None:
        raise FileNotFoundError(f"{short(folder)} holds no finished run: run notebooks/03_training.ipynb first")
    settings = TypeAdapter(System).validate_python(card["system"])
    tensors, _ = checkpoints.load(folder / "best.safetensors")
    model = build_system(settings)
    checkpoints.load_model(model, tensors)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model = model.eval().requires_grad_(False).to(where, memory_format=torch.channels_last)
    return Segmenter(card["run_id"], model, settings.input_size, card["threshold"], where)


def image_files(folder: Path) -> list[Path]:
    """Every file below a folder that is named like an image, in order."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: give the folder that holds the images")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())


def predict_folder(segmenter: Segmenter, images: Path, out: Path, size: Size | None = None) -> pd.DataFrame:
    """Write Predictions/<stem>.png (probability * 255) and Binarised/<stem>.png (0 or 255) for every image.

    Sub-folders are kept. Returns one row a file: file, height, width, sclera (fraction), problem. A file that can not
    be read is named there with its mend and left out; two images of one stem in one folder are refused beforehand."""
    files = image_files(images)
    targets = pd.Series(files, dtype=object).map(lambda path: path.relative_to(images).with_suffix(".png"))
    clashes = targets[targets.duplicated(keep=False)]
    if len(clashes):
        twins = ", ".join(str(files[i].relative_to(images)) for i in clashes.index)
        raise ValueError(f"{twins} would share one output name: rename one of each")
    rows = []
    for path, target in tqdm(list(zip(files, targets, strict=True)), desc="predict", unit="image", disable=None):
        row = {"file": str(path.relative_to(images))}
        try:
            image = read_image(path)
        except BadFile as error:
            rows.append(row | {"problem": str(error)})
            continue
        prob = segmenter.predict([image], size)[0]
        grey = np.round(prob * 255).astype(np.uint8)
        mask = np.where(prob >= segmenter.threshold, 255, 0).astype(np.uint8)
        write_png(out / PROBABILITIES / target, grey)
        write_png(out / BINARY / target, mask)
        rows.append(row | {"height": len(grey), "width": grey.shape[1], "sclera": (mask > 0).mean(), "problem": ""})
    return pd.DataFrame(rows, columns=["file", "height", "width", "sclera", "problem"])


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write a grey (H, W) or RGB (H, W, 3) uint8 picture; never half a file."""
    ok, encoded = cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)
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
    found = {_stem(path): path for path in image_files(folder)}
    rows = []
    masks = mask_files(truth)
    if not masks:
        raise FileNotFoundError(f"{truth} holds no masks: give the folder of the truth masks")
    for path in masks:
        row = {"file": str(path.relative_to(truth))}
        try:
            mask = read_sclera(path, sclera)
            if _stem(path) not in found:
                raise BadFile(path, "no prediction of this name", f"predict its image into {folder}")
            prob = read_image(found[_stem(path)])[..., 0].astype(np.float32) / 255
        except BadFile as error:
            rows.append(row | {"problem": str(error)})
            continue
        if prob.shape != mask.shape:
            prob = cv2.resize(prob, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        counts = count_pixels(prob[None], mask[None], threshold)
        rows.append(row | scores(counts).iloc[0].to_dict() | {"problem": ""})
    return pd.DataFrame(rows, columns=["file", "f1", "iou", "precision", "recall", "mae", "problem"])


def read_sclera(path: Path, colour: RGB | None) -> np.ndarray:
    """A truth mask as (H, W) bool; with `colour`, whatever has another colour is not sclera. Raises BadFile."""
    if colour is None:
        return read_labels(path) == SCLERA
    mask = (read_image(path) == np.array(colour, np.uint8)).all(axis=2)
    if not mask.any():
        raise BadFile(path, f"has no pixel of the colour {tuple(colour)}", "give the sclera's colour in these masks")
    return mask


def mask_files(truth: Path) -> list[Path]:
    """Truth masks in a folder: all images, or those ending in _mask or _sclera where images lie beside them."""
    files = image_files(truth)
    marked = [p for p in files if p.stem.endswith(("_mask", "_sclera"))]
    return marked or files


def _stem(path: Path) -> str:
    return path.stem.removesuffix("_mask").removesuffix("_sclera")
