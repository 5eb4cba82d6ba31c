"""What the peers of benchmarks/transfer.py cost: CGDSeg at its full width, a narrow decoder, a U-Net, SegFormer-B0.

python benchmarks/peers.py [--json FILE] [--batch 16]
ratio = CGDSeg's seconds of a training step / those of the narrow decoder."""

from copy import deepcopy

import torch
from measure import by_turns, options, report
from torch.utils.flop_counter import FlopCounterMode
from transfer import SIZE, STUDIES

from cgdseg.config import System, Training
from cgdseg.models.layers import fold_norms
from cgdseg.models.memory import keep_freed_memory
from cgdseg.models.registry import build_system
from cgdseg.training.losses import dice_bce
from cgdseg.training.session import optimizer_for

EPOCH = 10_000  # images, the slides'


class Peer:
    """A system and one fixed batch, in float32 as in the study."""

    def __init__(self, system: System, batch: int):
        torch.manual_seed(0)
        self.model = build_system(system).to(memory_format=torch.channels_last)
        self.optimizer = optimizer_for(self.model, Training())
        self.images = torch.rand(batch, 3, *SIZE).contiguous(memory_format=torch.channels_last)
        self.ready = deepcopy(self.model).eval()
        fold_norms(self.ready)
        self.masks = (torch.rand(batch, len(system.classes), *SIZE) < 0.2).float()

    def step(self) -> None:
        self.model.train()
        dice_bce(self.model(self.images), self.masks).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    @torch.no_grad()
    def predict(self) -> None:
        self.ready(self.images)

    def gflop(self) -> float:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            self.model.eval()(self.images[:1])
        return counter.get_total_flops() / 1e9


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--batch", type=int, default=16)
    chosen = parser.parse_args()
    keep_freed_memory()
    peers = {name: Peer(system, chosen.batch) for name, system in STUDIES["peers"].items()}
    steps = by_turns({name: peer.step for name, peer in peers.items()})
    predictions = by_turns({name: peer.predict for name, peer in peers.items()}, rounds=5)
    rows = [
        {
            "peer": name,
            "parameters": sum(p.numel() for p in peer.model.parameters()),
            "GFLOP": round(peer.gflop(), 2),
            "seconds an epoch": steps[name] * EPOCH / chosen.batch,
            "training ms an image": 1000 * steps[name] / chosen.batch,
            "prediction ms an image": 1000 * predictions[name] / chosen.batch,
        }
        for name, peer in peers.items()
    ]
    report({"ratio": steps["cgdseg"] / steps["narrow_decoder"], "size": SIZE, "peers": rows}, chosen.json)


if __name__ == "__main__":
    main()
