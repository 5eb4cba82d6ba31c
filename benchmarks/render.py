"""How fast eyes are rendered on one core, and against reading stored ones back.

python benchmarks/render.py [--json FILE] [--eyes 100]
ratio = seconds to decode a stored 400x300 pair / seconds to render it."""

import argparse
import json
import platform
import time
from pathlib import Path

import cv2

from cgdseg.eyes import render_eye
from cgdseg.eyes.looks import LOOKS

SIZES = ((150, 200), (300, 400))  # (H, W)


def images_per_second(look: str, size: tuple[int, int], n: int) -> float:
    for index in range(5):  # texture banks are built once a process
        render_eye(LOOKS[look], 0, index, size=size)
    start = time.process_time()
    for index in range(n):
        render_eye(LOOKS[look], 1, index, size=size)
    return n / (time.process_time() - start)


def pairs_decoded_per_second(n: int) -> float:
    eye = render_eye(LOOKS["randomised"], 0, 0, size=(300, 400))
    files = [cv2.imencode(".png", pixels)[1] for pixels in (eye.image, eye.labels)]
    start = time.process_time()
    for _ in range(n):
        for file in files:
            cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    return n / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--eyes", type=int, default=100, help="eyes of each look and size")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    rates = {look: {f"{h}x{w}": images_per_second(look, (h, w), chosen.eyes) for h, w in SIZES} for look in LOOKS}
    result = {
        "machine": f"{platform.machine()}, one core, OpenCV {cv2.__version__}",
        "images_per_second": rates,
        "ratio": rates["randomised"]["300x400"] / pairs_decoded_per_second(chosen.eyes),
    }
    print(json.dumps(result, indent=2))
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
