"""What scoring an image by the SSBC 2025 rules costs, against the same rules followed with scikit-learn.

python benchmarks/scorer.py [--json FILE] [--images 100] [--rounds 5]
ratio = scikit-learn's seconds for an image of 400x300 / ours, on one core.
Masks are rendered eyes; a map is a blurred, noisy form of one, in 8 bits. Both must agree to 1e-12."""

import cv2
import measure
import numpy as np
import torch
from sklearn import metrics

from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS
from cgdseg.labels import SCLERA
from cgdseg.scoring.ssbc import PROTOCOLS, Scorer

SIZE = (300, 400)


def draw(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Binary (H, W) and map (H, W) as files hold them, and truth (H, W), all uint8."""
    truth = np.where(render_eye(LOOKS["randomised"], 0, index, size=SIZE).labels == SCLERA, 255, 0).astype(np.uint8)
    noise = np.random.default_rng(index).normal(0, 12, SIZE)
    grey = (cv2.GaussianBlur(truth, (0, 0), 5) + noise).clip(0, 255).astype(np.uint8)
    return np.where(grey > 127, 255, 0).astype(np.uint8), grey, truth


def by_scikit_learn(binary: np.ndarray, grey: np.ndarray, truth: np.ndarray) -> list[float]:
    """Binary F1 and IoU, best F1 with its precision and recall."""
    y_true, y_pred = truth.ravel() // 255, binary.ravel() // 255
    precision, recall, _ = metrics.precision_recall_curve(y_true, grey.ravel() / 255)
    with np.errstate(invalid="ignore"):
        f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
    best = f1.argmax()
    scores = metrics.f1_score(y_true, y_pred), metrics.jaccard_score(y_true, y_pred)
    return [*scores, f1[best], precision[best], recall[best]]


def main() -> None:
    parser = measure.options(__doc__)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    images = [draw(index) for index in range(chosen.images)]

    def theirs():
        return np.mean([by_scikit_learn(*image) for image in images], axis=0)

    def ours(protocols=("ssbc2025",)):
        scorer = Scorer(protocols)
        for image in images:
            scorer.add("eyes", *image)
        table = scorer.table()
        return table[(table.protocol == "ssbc2025") & (table.dataset == "eyes")]["mean"]

    def all_protocols():
        return ours(PROTOCOLS)

    np.testing.assert_allclose(ours(), theirs(), rtol=0, atol=1e-12)
    forms = {"scikit-learn": theirs, "ours": ours, "all three protocols": all_protocols}
    seconds = measure.by_turns(forms, chosen.rounds)
    result = {
        "ratio": seconds["scikit-learn"] / seconds["ours"],
        "ms_an_image": {form: 1000 * took / chosen.images for form, took in seconds.items()},
        "images": chosen.images,
    }
    measure.report(result, chosen.json)


if __name__ == "__main__":
    main()
