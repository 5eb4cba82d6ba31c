"""Training eyes rendered as they are needed: an endless set that is never written to disk.

Item: {"images": uint8 tensor (3, H, W), "labels": uint8 tensor (H, W)}, a pure function of (seed, epoch, position)."""

import torch
from torch.utils.data import Dataset

from cgdseg.config import Config, Run
from cgdseg.data.standins import stand_in_factors
from cgdseg.eyes import render_eye

STREAM = 1_000_003  # keeps streamed eyes apart from those of the stand-ins' own seeds


class RenderedEyes(Dataset):
    """cfg.streamed(run) eyes an epoch, never the same twice, in the looks of the condition's stand-ins by turns.

    They are not augmented: a look says what varies."""

    def __init__(self, cfg: Config, run: Run):
        stand_ins = [cfg.datasets[name].stand_in for name in cfg.conditions[run.condition]]
        if None in stand_ins:
            raise ValueError(f"training.stream: the condition {run.condition} has a dataset that is no stand-in")
        self.looks = [stand_in_factors(spec) for spec in stand_ins]
        self.size = cfg.systems[run.system].input_size
        self.n, self.seed = cfg.streamed(run), STREAM + run.seed
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # seen by workers that outlive an epoch

    def set_epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, position: int) -> dict[str, torch.Tensor]:
        index = int(self._epoch) * self.n + position
        eye = render_eye(self.looks[index % len(self.looks)], self.seed, index, size=self.size)
        images = torch.from_numpy(eye.image.transpose(2, 0, 1).copy())
        return {"images": images, "labels": torch.from_numpy(eye.labels)}
