"""The one contract of every network: images and prompts in, a probability map a prompt out.

images (H, W, 3) uint8 -> maps (K, H, W) float32 in [0, 1]; `predict_all` does it in batches."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from cgdseg.config import Size

BATCH = 16  # images at a time
Images = Sequence[np.ndarray]
Prompts = Sequence[str] | None


class Predictor(Protocol):
    """Whatever segments: a trained system, the model that ships, what learned nothing."""

    def predict(self, images: Images, prompts: Prompts = None, size: Size | None = None) -> list[np.ndarray]:
        """Images (H, W, 3) uint8 of any size -> probabilities (K, H, W) float32, one map a prompt.

        prompts None: everything that it finds unasked. At `size`, or each at its image's own.
        Raises ValueError that says what it knows for a prompt that it cannot answer."""


def predict_all(
    predictor: Predictor, images: Images, prompts: Prompts = None, size: Size | None = None, batch_size: int = BATCH
) -> np.ndarray:
    """The maps (N, K, H, W) of all images, a batch at a time; with `size`, or of images of one size."""
    starts = range(0, len(images), batch_size)
    return np.concatenate([predictor.predict(list(images[i : i + batch_size]), prompts, size) for i in starts])


def sclera_of(predictor: Predictor, images: Images, size: Size | None = None, batch_size: int = BATCH) -> np.ndarray:
    """The sclera's probabilities (N, H, W), of which all scores are made."""
    return predict_all(predictor, images, ("sclera",), size, batch_size)[:, 0]


def answered(prompts: Prompts, known: Sequence[str]) -> list[int]:
    """Which of the maps a predictor knows are asked for, in the order of the prompts. ValueError for an unknown one."""
    unknown = [prompt for prompt in prompts or () if prompt not in known]
    if unknown:
        raise ValueError(f"this model cannot be asked for {unknown[0]!r}: it finds {', '.join(known)}")
    return [list(known).index(prompt) for prompt in (known if prompts is None else prompts)]
