#!/usr/bin/env python3
"""Times a step of PyTorch's optimisers, and lays criterion's figures of ours beside them.

    cargo bench -p lora-bench --bench optimizers
    python docs/interop/time_optimizers.py [--threads 2] [--ours target/criterion]

The same matrices as in benches/benches/optimizers.rs: a million numbers, in 64 matrices for each rule, and in 16 to 1024
for those whose cost of a matrix is asked for. Torch's own rules are timed twice: one matrix after the other, and with
`foreach`, which takes lists of them. Needs torch, lion-pytorch, bitsandbytes, transformers, dadaptation, prodigyopt,
schedulefree. Prints one line of JSON for each: medians in seconds for a million numbers; and at the end, for each rule,
what one more matrix costs.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import time

import torch

RANK, NUMBERS, USUAL, COUNTS = 16, 1 << 20, 64, (16, 64, 256, 1024)


def rules():
    """Name in our config files -> name here -> optimiser over some parameters."""
    from bitsandbytes.optim import AdamW8bit, Lion8bit
    from dadaptation import DAdaptAdam, DAdaptLion, DAdaptSGD
    from lion_pytorch import Lion
    from prodigyopt import Prodigy
    from schedulefree import AdamWScheduleFree
    from transformers.optimization import Adafactor

    adamw = lambda foreach: lambda p: torch.optim.AdamW(p, lr=1e-4, foreach=foreach)
    sgd = lambda foreach: lambda p: torch.optim.SGD(p, lr=1e-4, momentum=0.9, nesterov=True, foreach=foreach)
    free = lambda foreach: lambda p: AdamWScheduleFree(p, lr=1e-4, foreach=foreach)
    return {
        "adamw": {"single": adamw(False), "foreach": adamw(True)},
        "adamw8bit": {"bitsandbytes": lambda p: AdamW8bit(p, lr=1e-4)},
        "lion": {"single": lambda p: Lion(p, lr=1e-4)},
        "lion8bit": {"bitsandbytes": lambda p: Lion8bit(p, lr=1e-4)},
        "sgd": {"single": sgd(False), "foreach": sgd(True)},
        "adafactor": {"single": lambda p: Adafactor(p, lr=1e-4, scale_parameter=False, relative_step=False)},
        "adamw-schedule-free": {"single": free(False), "foreach": free(True)},
        "dadapt-adam": {"single": lambda p: DAdaptAdam(p, lr=1.0)},
        "dadapt-lion": {"single": lambda p: DAdaptLion(p, lr=1.0)},
        "dadapt-sgd": {"single": lambda p: DAdaptSGD(p, lr=1.0)},
        "prodigy": {"single": lambda p: Prodigy(p, lr=1.0)},
    }


def timed(make, count, steps):
    """The median of a step's seconds."""
    torch.manual_seed(0)
    width = NUMBERS // count // RANK
    shapes = [(RANK, width) if i % 2 == 0 else (width, RANK) for i in range(count)]
    params = [torch.nn.Parameter(torch.randn(shape) * 0.02) for shape in shapes]
    for p in params:
        p.grad = torch.randn_like(p) * 1e-3
    with contextlib.redirect_stdout(sys.stderr):  # some of them say what they do
        optimizer = make(params)
        if hasattr(optimizer, "train"):
            optimizer.train()
        seconds = []
        for step in range(steps + 3):
            start = time.perf_counter()
            optimizer.step()
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[3:])


def ours(folder):
    """(rule, matrices) -> seconds of a step, from criterion's files."""
    found = {}
    for group in ("optimizer_step", "optimizer_matrices"):
        for path in sorted(pathlib.Path(folder, group).glob("*/*/new/estimates.json")):
            rule, count = path.parts[-4], int(path.parts[-3])
            found[rule, count] = json.loads(path.read_text())["median"]["point_estimate"] / 1e9
    return found


def slope(points):
    """Seconds that one more matrix costs: least squares over (matrices, seconds)."""
    n, s = zip(*points)
    mean = sum(n) / len(n)
    return sum((x - mean) * y for x, y in zip(n, s)) / sum((x - mean) ** 2 for x in n)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--ours", default="target/criterion")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    criterion, million = ours(options.ours), NUMBERS / 1e6
    print(json.dumps({"torch": torch.__version__, "threads": options.threads}))
    lines = {}
    for rule, ways in rules().items():
        for count in COUNTS if rule in ("adamw", "lion", "prodigy") else (USUAL,):
            for way, make in ways.items():
                try:
                    lines[rule, way, count] = timed(make, count, options.steps)
                except Exception as error:  # such as bitsandbytes where it was built without the CPU
                    print(json.dumps({"rule": rule, "peer": way, "failed": str(error)[:200]}))
            if (rule, count) in criterion:
                lines[rule, "ours", count] = criterion[rule, count]
    for (rule, way, count), seconds in lines.items():
        print(json.dumps({"rule": rule, "peer": way, "matrices": count, "seconds_per_million": round(seconds / million, 6)}))
    for rule, way in dict.fromkeys((rule, way) for rule, way, _ in lines):
        points = [(count, seconds) for (r, w, count), seconds in lines.items() if (r, w) == (rule, way)]
        if len(points) > 1:
            print(json.dumps({"rule": rule, "peer": way, "seconds_per_matrix": round(slope(points), 9)}))


main()
