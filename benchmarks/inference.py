"""Prediction with CGDSeg at the paper's size: the slides' code as written against the forms that we predict in.

python benchmarks/inference.py [--json FILE] [--batch 8] [--side 256] [--rounds 4] [--compile]
ratio = seconds of theirs / seconds of our fastest form; the largest difference of a probability is given beside it."""

import torch
from measure import as_glibc_does, options, report, rivals, wait
from slides import as_written
from torch import nn

from cgdseg.models.cgdseg import CGDSeg
from cgdseg.models.layers import fold_norms
from cgdseg.models.lora import merge_lora
from cgdseg.models.memory import keep_freed_memory
from cgdseg.models.registry import build_system
from cgdseg.studies.anatomy.cgdseg import paper_size

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def trained_model(side: int) -> CGDSeg:
    """The paper's size with weights that are random but not at their start: no adapter is nil, no norm is standard."""
    torch.manual_seed(0)
    model = build_system(paper_size().model_copy(update={"input_size": (side, side)}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return model.eval().requires_grad_(False)


class Prediction:
    """Probabilities of one fixed batch; `form` says how they are computed."""

    def __init__(self, form: str, batch: int, side: int):
        model = trained_model(side)
        theirs = form.startswith("theirs")
        layout = torch.contiguous_format if theirs else torch.channels_last
        self.prepare = as_glibc_does if form == "theirs" else keep_freed_memory
        self.images = torch.rand(batch, 3, side, side).to(DEVICE).contiguous(memory_format=layout)
        if theirs:
            model = as_written(model)
        else:
            merge_lora(model)
            fold_norms(model)
        model = model.to(DEVICE, memory_format=layout)
        self.half = "bf16" in form
        self.call = torch.compile(model) if "compiled" in form else model

    @torch.inference_mode()
    def __call__(self) -> torch.Tensor:
        with torch.autocast(DEVICE, torch.bfloat16, enabled=self.half):
            return self.call(self.images).float().sigmoid()


def memory(form: str, batch: int, side: int) -> None:
    predict = Prediction(form, batch, side)
    predict.prepare()
    predict()
    wait()


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--batch", type=int, default=32 if DEVICE == "cuda" else 8)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=20 if DEVICE == "cuda" else 4)
    parser.add_argument("--compile", action="store_true", help="measure the compiled forms too: minutes more on a CPU")
    chosen = parser.parse_args()
    forms = ["theirs", "theirs, memory kept", "ours", "ours bf16"]
    forms += ["ours compiled", "ours bf16 compiled"] if chosen.compile else []
    calls = {form: Prediction(form, chosen.batch, chosen.side) for form in forms}
    probs = {form: call() for form, call in calls.items()}
    result, _ = rivals(calls, memory, chosen.batch, chosen.side, chosen.rounds)
    difference = {form: (probs[form] - probs["theirs"]).abs().max().item() for form in forms[1:]}
    report(result | {"difference": difference}, chosen.json)


if __name__ == "__main__":
    main()
