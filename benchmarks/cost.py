"""Cost curves of CGDSeg at the paper's size: time and memory against batch size and image size.

python benchmarks/cost.py [--csv FILE] [--batches 1 2 4 8] [--sides 128 192 320]
one row a point: job (training, prediction), form, batch, side, ms, MiB."""

import argparse
from pathlib import Path

import inference
import pandas as pd
import train_step
from measure import by_turns, peak_mib
from tqdm import tqdm

BATCH, SIDE = 2, 256  # while the other one varies
JOBS = {"training": (train_step.Step, train_step.memory), "prediction": (inference.Prediction, inference.memory)}
FORMS = ("theirs", "ours bf16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--sides", type=int, nargs="*", default=[128, 192, 320])
    chosen = parser.parse_args()
    points = [(batch, SIDE) for batch in chosen.batches] + [(BATCH, side) for side in chosen.sides]
    rows = []
    for (job, (make, memory)), (batch, side) in tqdm([(j, p) for j in JOBS.items() for p in points]):
        seconds = by_turns({form: make(form, batch, side) for form in FORMS}, rounds=2)
        for form, took in seconds.items():
            costs = {"ms": 1000 * took, "MiB": peak_mib(memory, form, batch, side)}
            rows.append({"job": job, "form": form, "batch": batch, "side": side, **costs})
    table = pd.DataFrame(rows)
    print(table.round(0).to_string(index=False))
    if chosen.csv:
        table.to_csv(chosen.csv, index=False, float_format="%.1f")


if __name__ == "__main__":
    main()
