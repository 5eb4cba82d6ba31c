"""Whether the fast forms of prediction score as the plain one does: F1 of the sclera on rendered eyes, form by form.

python benchmarks/forms.py [--run data/runs/<run id>] [--json FILE]; `largest_change` is in points of F1 (0 to 100).
The plain form is float32, eager, with batch norms apart and adapters, where the run has them, beside their weights.
fp16 needs CUDA."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from measure import options, report
from tqdm import tqdm

from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS
from cgdseg.models.predictor import Segmenter, load_segmenter, load_trained
from cgdseg.models.weights import read_run
from cgdseg.paths import RELEASE
from cgdseg.scoring.metrics import count_pixels, scores

STREAM = 3_000_017  # eyes that nothing trained on
FORMS = {
    "merged and folded": {},
    "bf16": {"precision": "bf16"},
    "compiled": {"compiled": True},
    "bf16 compiled": {"precision": "bf16", "compiled": True},
}


def plain(folder: Path) -> Segmenter:
    """The model as it was trained, nothing merged, folded or compiled."""
    ready, model = load_segmenter(folder), load_trained(folder)[0]
    return replace(ready, name="plain", model=model.eval().requires_grad_(False).to(ready.device))


def f1(segmenter: Segmenter, eyes: list) -> float:
    probs = [segmenter.predict([eye.image], ("sclera",))[0][0] for eye in eyes]
    counts = count_pixels(np.stack(probs), np.stack([eye.labels == 1 for eye in eyes]), segmenter.threshold)
    return float(scores(counts).f1.mean())


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--run", type=Path, default=RELEASE)
    parser.add_argument("--eyes", type=int, default=200)
    chosen = parser.parse_args()
    eyes = [render_eye(LOOKS["randomised"], STREAM, index, size=(300, 400)) for index in range(chosen.eyes)]
    forms = FORMS | ({"fp16": {"precision": "fp16"}} if torch.cuda.is_available() else {})
    found = {"plain": f1(plain(chosen.run), eyes)}
    for name, how in tqdm(forms.items()):
        found[name] = f1(load_segmenter(chosen.run, **how), eyes)
    change = max(abs(score - found["plain"]) for score in found.values())
    report({"run": read_run(chosen.run)["run_id"], "f1": found, "largest_change": 100 * change}, chosen.json)


if __name__ == "__main__":
    main()
