#!/usr/bin/env python3
"""Reads a run's TensorBoard file and its table with TensorBoard's own reader and with csv, and holds both against its log.

    pip install tensorboard==2.21.0 pillow
    python docs/interop/check_tensorboard.py quickstart

Every number of `metrics.jsonl` must be there at its step, rounded to f32 in TensorBoard's file and unrounded in the table,
and every preview byte for byte. Ends with exit code 1 when something is missing or differs.
"""

import argparse
import csv
import json
import pathlib
import sys

import numpy
from tensorboard.backend.event_processing import event_accumulator

STRETCHES = [f"{100 * tenth:03}-{100 * tenth + 99:03}" for tenth in range(10)]
TAGS = {
    "loss": "loss/current",
    "smooth_loss": "loss/smooth",
    "balanced_loss": "loss/balanced",
    "learning_rate": "lr/unet",
    "text_learning_rate": "lr/text_encoder",
    "grad_norm": "grad_norm",
    "steps_per_second": "speed/steps_per_second",
    "pictures_per_second": "speed/pictures_per_second",
    "resident_bytes": "memory/resident_bytes",
    "peak_resident_bytes": "memory/peak_resident_bytes",
}


def expected(events):
    """Scalars `{tag: [(step, value)]}` and rows `[{column: value}]`, as the log has them."""
    scalars, rows = {}, []
    for event in events:
        if event["event"] == "measured":
            row = {"heldout_loss": event["heldout_loss"]}
            tagged = {"loss/heldout": event["heldout_loss"]}
        elif event["event"] == "stepped":
            row = {name: event[name] for name in [*TAGS, "epoch", "seconds_left"] if name in event}
            tagged = {TAGS[name]: value for name, value in row.items() if name in TAGS}
            for stretch, loss in zip(STRETCHES, event["loss_by_timestep"]):
                if loss is not None:
                    row["loss_t" + stretch.replace("-", "_")] = loss
                    tagged["loss_by_timestep/" + stretch] = loss
        else:
            continue
        rows.append({"step": event["step"], **row})
        for tag, value in tagged.items():
            scalars.setdefault(tag, []).append((event["step"], float(numpy.float32(value))))
    return scalars, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="a run's folder")
    folder = parser.parse_args().folder
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    scalars, rows = expected(events)

    unlimited = {event_accumulator.SCALARS: 0, event_accumulator.IMAGES: 0}
    reader = event_accumulator.EventAccumulator(str(folder / "tensorboard"), size_guidance=unlimited)
    reader.Reload()
    tags = reader.Tags()
    wrong = []
    for tag in sorted({*scalars, *tags["scalars"]}):
        read = [(event.step, event.value) for event in reader.Scalars(tag)] if tag in tags["scalars"] else []
        if read != scalars.get(tag):
            wrong.append(tag)
        last = f"{read[-1][1]:.6g} at step {read[-1][0]}" if read else "missing"
        print(f"  {tag:30} {len(read):4} points, the last {last}")

    previews = [event for event in events if event["event"] == "sampled"]
    for prompt in sorted({event["prompt"] for event in previews} | {int(tag[8:]) for tag in tags["images"]}):
        tag = f"preview/{prompt}"
        read = [(image.step, image.encoded_image_string) for image in reader.Images(tag)]
        files = [(event["step"], pathlib.Path(event["image"])) for event in previews if event["prompt"] == prompt]
        wanted = [(step, (folder / "previews" / path.name).read_bytes()) for step, path in files]
        if read != wanted:
            wrong.append(tag)
        sizes = {(image.width, image.height) for image in reader.Images(tag)}
        print(f"  {tag:30} {len(read):4} pictures of {sizes}, at steps {[step for step, _ in read]}")

    with open(folder / "metrics.csv", newline="") as file:
        table = [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]
    if table != rows:
        wrong.append("metrics.csv")
    print(f"  {'metrics.csv':30} {len(table):4} rows")
    if wrong:
        sys.exit(f"not as in metrics.jsonl: {', '.join(wrong)}")
    print("all equal")


if __name__ == "__main__":
    main()
