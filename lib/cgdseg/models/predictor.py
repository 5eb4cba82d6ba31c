"""Prediction with a trained run: load_segmenter(folder).predict(images) -> probabilities at native or another size."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter
from torch import Tensor, nn

from cgdseg.config import Part, Precision, Size, System
from cgdseg.data.images import resize_image
from cgdseg.models import weights
from cgdseg.models.contract import Images, Prompts, answered
from cgdseg.models.layers import fold_norms, to_batch
from cgdseg.models.lora import merge_lora
from cgdseg.models.memory import keep_freed_memory
from cgdseg.models.registry import build_system
from cgdseg.models.weights import read_run
from cgdseg.paths import RELEASE, short


@dataclass(frozen=True, kw_only=True)
class Segmenter:
    """A trained system, ready to predict (`contract.Predictor`)."""

    name: str
    model: nn.Module
    input_size: Size
    classes: tuple[Part, ...]
    threshold: float
    device: torch.device
    temperature: float = 1.0  # logits are divided by it: calibrated on validation eyes, 1 where nobody did
    mirrored: bool = False  # each image is also seen mirrored, and both logits are averaged: twice the time
    precision: Precision = "no"

    def to_batch(self, images: Images) -> Tensor:
        """Images (H, W, 3) uint8 -> (B, 3, H, W) in [0, 1] at the input size, on the device."""
        return to_batch([resize_image(image, self.input_size) for image in images], self.device)

    @torch.inference_mode()
    def predict(self, images: Images, prompts: Prompts = None, size: Size | None = None) -> list[np.ndarray]:
        """Images (H, W, 3) uint8 -> probabilities (K, H, W) float32 of the classes named in `prompts`, or of all.

        At `size` or the image's own; for large photographs the enlarging takes as long as the model."""
        asked, batch = answered(prompts, self.classes), self.to_batch(images)
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        with torch.autocast(self.device.type, half, enabled=half is not None):
            logits = self.model(batch).float()  # (B, classes, H, W)
            if self.mirrored:
                logits = (logits + self.model(batch.flip(3)).float().flip(3)) / 2
        probs = (logits[:, asked] / self.temperature).sigmoid()
        sizes = [size or image.shape[:2] for image in images]
        return [
            F.interpolate(prob[None], size=out, mode="bilinear", align_corners=False)[0].cpu().numpy()
            for prob, out in zip(probs, sizes, strict=True)
        ]


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
    return Segmenter(
        name=card["run_id"],
        model=model,
        input_size=settings.input_size,
        classes=settings.classes,
        threshold=card["threshold"],
        device=where,
        temperature=card.get("temperature", 1.0),
        mirrored=card.get("mirrored", False),
        precision=precision,
    )


def load_trained(folder: str | Path) -> tuple[nn.Module, System, dict]:
    """The model of a finished run with its own weights, as it was trained; its settings and its run.json.

    Raises as `load_segmenter` does."""
    folder = Path(folder)
    card = read_run(folder)
    if card is None:
        raise FileNotFoundError(f"{short(folder)} holds no finished run: run notebooks/03_training.ipynb first")
    if "system" not in card:
        raise ValueError(f"{short(folder)} is damaged, or no segmentation: its run.json names no system")
    settings = TypeAdapter(System).validate_python(card["system"])
    tensors, _ = weights.load(folder / "best.safetensors")
    model = build_system(settings)
    weights.load_model(model, tensors)
    return model, settings, card
