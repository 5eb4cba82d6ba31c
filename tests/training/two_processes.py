"""What test_distributed.py has torchrun start: every process trains each config of a folder.

python -m torch.distributed.run --standalone --nproc-per-node 2 tests/training/two_processes.py FOLDER
FOLDER/<case>/tiny.yaml are the configs; FOLDER/rank-<n>.json says what a process saw."""

import hashlib
import json
import os
import sys
from pathlib import Path

from accelerate import Accelerator
from torch import Tensor, nn

from cgdseg.cli.shared import app
from cgdseg.config import load_config
from cgdseg.models.layers import standardise
from cgdseg.models.zoo import unet
from cgdseg.training import loop


class Toy(nn.Sequential):
    """A system without batch norm: what it says of an image does not depend on the others of the batch."""

    def __init__(self, n_classes: int):
        super().__init__(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, n_classes, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(standardise(images))


def build_toy(settings) -> Toy:
    return Toy(len(settings.classes))


def noting(norms: list[float]):
    """Accelerator.clip_grad_norm_ that notes the norms: AdamW alone would not mind gradients that are half as long."""
    clip = Accelerator.clip_grad_norm_

    def noted(*words):
        norm = clip(*words)
        norms.append(norm.item())
        return norm

    return noted


def main(folder: Path) -> None:
    unet.build = build_toy
    seen = {"weights": [], "norms": []}
    Accelerator.clip_grad_norm_ = noting(seen["norms"])
    validate = loop.validate

    def watched(session, model, *words):
        """Note how many processes there are, and which weights and statistics this one validates."""
        scores = validate(session, model, *words)
        seen["processes"] = session.accelerator.num_processes
        values = b"".join(tensor.contiguous().numpy().tobytes() for tensor in model.state_dict().values())
        seen["weights"].append(hashlib.sha256(values).hexdigest())
        return scores

    loop.validate = watched
    for case in ("files", "streamed", "uneven"):
        cfg = load_config(folder / case / "tiny.yaml")
        try:
            loop.train(cfg, cfg.run("unet", "synthetic", 42))
        except ValueError as error:
            seen["error"] = str(error)
    app(["train", "--config", str(folder / "cgdseg" / "tiny.yaml")], standalone_mode=False)
    (folder / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
