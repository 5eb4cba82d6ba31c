"""One training step of CGDSeg at the paper's size: the slides' code as written against the forms that we train in.

python benchmarks/train_step.py [--json FILE] [--batch 8] [--side 256] [--rounds 3] [--compile]
ratio = seconds of theirs / seconds of our fastest form; all start from the same weights and see the same images."""

import torch
from measure import as_glibc_does, machine, options, report, rivals, wait
from slides import as_written
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cgdseg.config import Training
from cgdseg.models.memory import keep_freed_memory
from cgdseg.models.registry import build_system
from cgdseg.studies.anatomy.cgdseg import paper_size
from cgdseg.training.losses import dice_bce
from cgdseg.training.session import optimizer_for

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PEAK = 989e12  # FLOP/s of an H200 in bf16 by its data sheet


class Step:
    """Forward, loss, backward, clipping and AdamW on one fixed batch; `form` says how it is computed."""

    def __init__(self, form: str, batch: int, side: int):
        torch.manual_seed(0)
        settings = Training()
        model = build_system(paper_size().model_copy(update={"input_size": (side, side)})).to(DEVICE)
        theirs = form.startswith("theirs")
        layout = torch.contiguous_format if theirs else torch.channels_last
        self.prepare = as_glibc_does if form == "theirs" else keep_freed_memory
        self.images = torch.rand(batch, 3, side, side).to(DEVICE).contiguous(memory_format=layout)
        self.masks = (torch.rand(batch, 1, side, side) < 0.2).float().to(DEVICE)
        self.model = as_written(model) if theirs else model.to(memory_format=layout)
        self.optimizer = optimizer_for(self.model, settings)
        if theirs:
            self.optimizer = torch.optim.AdamW(self.optimizer.param_groups, weight_decay=settings.weight_decay)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.half = "bf16" in form
        self.call = torch.compile(self.model) if "compiled" in form else self.model
        self.model.train()

    def __call__(self) -> torch.Tensor:
        with torch.autocast(DEVICE, torch.bfloat16, enabled=self.half):
            logits = self.call(self.images)
        loss = dice_bce(logits, self.masks)
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()


def memory(form: str, batch: int, side: int) -> None:
    step = Step(form, batch, side)
    step.prepare()
    step()
    step()
    wait()


def flop(step: Step) -> float:
    """Floating-point operations of a step, as torch counts those of matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--batch", type=int, default=32 if DEVICE == "cuda" else 4)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=20 if DEVICE == "cuda" else 3)
    parser.add_argument("--compile", action="store_true", help="measure the compiled form too: minutes more on a CPU")
    chosen = parser.parse_args()
    forms = ["theirs", "theirs, memory kept", "ours", "ours bf16"] + ["ours bf16 compiled"] * chosen.compile
    steps = {form: Step(form, chosen.batch, chosen.side) for form in forms}
    losses = {form: step().item() for form, step in steps.items()}
    operations = flop(steps["ours"])
    result, seconds = rivals(steps, memory, chosen.batch, chosen.side, chosen.rounds)
    result |= {
        "first_loss": losses,
        "GFLOP_an_image": operations / chosen.batch / 1e9,
        "TFLOP_a_second": {form: operations / took / 1e12 for form, took in seconds.items()},
    }
    if "H200" in machine():
        result["share_of_peak"] = operations / seconds[result["best"]] / PEAK
    report(result, chosen.json)


if __name__ == "__main__":
    main()
