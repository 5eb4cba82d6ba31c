"""How long the release model takes for one photograph on one core, and against the same model laid out plainly.

python benchmarks/predict.py [--json FILE]; ratio = seconds of the forward pass with channels first / as we run it."""

import argparse
import json
import platform
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import cv2
import torch

from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS
from cgdseg.models.predictor import load_segmenter

SIZES = ((256, 256), (300, 400), (1200, 1600))  # (H, W)


def milliseconds(call: Callable[[], object], n: int = 30) -> float:
    call()
    start = time.process_time()
    for _ in range(n):
        call()
    return 1000 * (time.process_time() - start) / n


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    path = parser.parse_args().json
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    segmenter = load_segmenter(device="cpu")
    image = render_eye(LOOKS["randomised"], 0, 0, size=(300, 400)).image
    batch = segmenter.to_batch([image])
    plain = deepcopy(segmenter.model).to(memory_format=torch.contiguous_format)
    photographs = {f"{h}x{w}": cv2.resize(image, (w, h)) for h, w in SIZES}
    result = {
        "machine": f"{platform.machine()}, one core, torch {torch.__version__}",
        "ms_an_image": {
            name: milliseconds(lambda p=p: segmenter.predict([p], ("sclera",))) for name, p in photographs.items()
        },
        "mirrored": segmenter.mirrored,
        "ratio": milliseconds(lambda: plain(batch.contiguous())) / milliseconds(lambda: segmenter.model(batch)),
    }
    print(json.dumps(result, indent=2))
    if path:
        path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
