"""What a training learns: its network, what a batch is to it, the loss it meets, and the score that picks an epoch.

The loop knows no more than an Objective says: every one has its checkpoints, mixed precision and processes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
import torch
from torch import Tensor, nn

from cgdseg.config import System, Training
from cgdseg.models.registry import build_system, offline_settings
from cgdseg.scoring.metrics import PIXEL_COUNTS, count_pixels, pooled_scores, scores
from cgdseg.training.losses import dice_bce, dice_bce_of_sums, pixel_sums

Batch = dict[str, Tensor]


class Objective(ABC):
    """A task for the loop."""

    best_by: ClassVar[str]  # the column of the history whose highest value picks the weights that are kept

    @abstractmethod
    def build(self) -> nn.Module:
        """The untrained network; called in every process under the same seed."""

    @abstractmethod
    def offline(self, model: nn.Module) -> dict:
        """What run.json must hold for the trained network to be rebuilt without a hub."""

    @abstractmethod
    def forward(self, model: nn.Module, batch: Batch) -> Any:
        """What the loss and the scores are made of; under autocast where there is mixed precision."""

    @abstractmethod
    def loss(self, outputs: Any, batch: Batch, over_processes: Callable[[Tensor], Tensor]) -> Tensor:
        """A scalar in float32; `over_processes` adds up sums of which every process holds a part."""

    @abstractmethod
    def measure(self, outputs: Any, batch: Batch) -> tuple[Tensor, ...]:
        """What the scores need of each entry, tensors (B, ...): small ones, as those of all entries are kept."""

    @abstractmethod
    def scores(self, *measured: Tensor) -> dict[str, float]:
        """Columns of the history, `best_by` among them, from the tensors (N, ...) of all validation entries."""


@dataclass(frozen=True)
class Segmentation(Objective):
    """Masks of an eye's parts by Dice and BCE (slide "Loss Function"); the best epoch by the sclera's mean F1."""

    system: System
    settings: Training
    best_by: ClassVar[str] = "val_f1"

    def build(self) -> nn.Module:
        return build_system(self.system)

    def offline(self, model: nn.Module) -> dict:
        return {"system": offline_settings(self.system, model).model_dump(mode="json")}

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """uint8 images (B, 3, H, W) -> logits (B, K, H, W)."""
        return model((batch["images"].float() / 255).contiguous(memory_format=torch.channels_last))

    def masks(self, batch: Batch) -> Tensor:
        """uint8 labels (B, H, W) -> (B, K, H, W) of 0 and 1, sclera first."""
        labels = torch.arange(1, len(self.system.classes) + 1, device=batch["labels"].device)[:, None, None]
        return (batch["labels"].unsqueeze(1) == labels).float()

    def loss(self, outputs: Tensor, batch: Batch, over_processes: Callable[[Tensor], Tensor]) -> Tensor:
        weights = self.settings.bce_weight, self.settings.dice_weight
        return dice_bce(outputs, self.masks(batch), *weights, over_processes)

    def measure(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss's sums (B, K, 5), and the sclera's PIXEL_COUNTS (B, 5)."""
        logits, masks = outputs.float(), self.masks(batch)
        sclera = logits[:, 0].sigmoid().cpu().numpy(), masks[:, 0].bool().cpu().numpy()
        counts = torch.from_numpy(count_pixels(*sclera)[PIXEL_COUNTS].to_numpy(float))
        on_cuda = logits.device.type == "cuda"  # where processes gather; Apple's GPUs know no float64
        return pixel_sums(logits, masks), counts.to(logits.device) if on_cuda else counts

    def scores(self, sums: Tensor, counts: Tensor) -> dict[str, float]:
        """Loss over all classes; for the sclera means over images of F1, IoU and MAE, and pooled F1, at the input size.

        Every image counts once, and the loss takes them all for one batch: neither depends on how they were shared."""
        loss = dice_bce_of_sums(sums.cpu().double(), self.settings.bce_weight, self.settings.dice_weight).item()
        counted = pd.DataFrame(counts.cpu().numpy(), columns=PIXEL_COUNTS)
        means = scores(counted)[["f1", "iou", "mae"]].mean()
        pooled = pooled_scores(counted)["f1"]
        return {"val_loss": loss, **means.add_prefix("val_").to_dict(), "val_f1_pooled": float(pooled)}
