"""Prediction with a trained run, and scores of predicted files.

images (H, W, 3) uint8 of any size -> probabilities (H, W) float32 at native or any asked size."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter
from torch import nn

from cgdseg.config.base import Part, Size
from cgdseg.config.schema import Precision
from cgdseg.config.systems import System
from cgdseg.data.images import resize_image
from cgdseg.models import weights
from cgdseg.models.layers import fold_norms
from cgdseg.models.lora import merge_lora
from cgdseg.models.memory import keep_freed_memory
from cgdseg.models.registry import build_system
from cgdseg.models.weights import read_run
from cgdseg.paths import RELEASE, short


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
    tensors, _ = weights.load(folder / "best.safetensors")
    model = build_system(settings)
    weights.load_model(model, tensors)
    return model, settings, card


def predict_rows(segmenter: Segmenter, images: np.ndarray, batch_size: int = 16) -> np.ndarray:
    """Images (N, H, W, 3) -> probabilities (N, K, H, W) at their own size."""
    starts = range(0, len(images), batch_size)
    return np.concatenate([np.stack(segmenter.predict_classes(list(images[i : i + batch_size]))) for i in starts])
