#!/usr/bin/env python3
"""Measures `lora bench step` and benches/peer/step.py in turn, A B A B, and prints what each took and how they compare.

    python benches/peer/alternate.py --rounds 2 -- --family sd1 --size 256,512 --rank 32

What stands behind `--` goes to both. A round is a process of each; how long a process takes to start does not count. `--lora` names the
program, `--python` the Python that has torch; `--keep FILE` keeps all documents, one a line.
"""
import argparse, json, os, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}")
    return json.loads(done.stdout)


def case(row):
    keys = ("family", "size", "batch", "rank", "precision", "checkpointing")
    return " ".join(str(row[key]) for key in keys)


def middle(numbers):
    numbers = sorted(number for number in numbers if number is not None)
    return (numbers[(len(numbers) - 1) // 2] + numbers[len(numbers) // 2]) / 2 if numbers else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--lora", default="lora")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--keep")
    parser.add_argument("arguments", nargs="*")
    a = parser.parse_args()
    ours = [a.lora, "bench", "step", *a.arguments, "--json"]
    peers = [a.python, os.path.join(HERE, "step.py"), *a.arguments]
    found = {}
    for round in range(a.rounds):
        for side, command in enumerate([ours, peers]):
            document = run(command)
            if a.keep:
                with open(a.keep, "a") as kept:
                    kept.write(json.dumps(document) + "\n")
            for row in document["steps"]:
                found.setdefault(case(row), ([], []))[side].append(row)
                print(f"round {round + 1}, {document['program']}: {case(row)}: {row['median']:.3f} s a step", file=sys.stderr)
    print("| case | s a step: ours, peer, ratio | core-seconds: ours, peer, ratio | peak in RAM, GB: ours, peer | reserved on the GPU, GB |")
    print("|---|---|---|---|---|")
    for name, (mine, theirs) in found.items():
        pair = lambda key: (middle([row[key] for row in mine]), middle([row[key] for row in theirs]))
        seconds, cores, peak, gpu = (pair(key) for key in ("median", "core_seconds", "peak_resident", "device_reserved"))
        compared = lambda x: f"{x[0]:.3g}, {x[1]:.3g}, {x[0] / x[1]:.2f}"
        gigabytes = lambda x: f"{x[0] / 1e9:.2f}, {x[1] / 1e9:.2f}"
        print(f"| {name} | {compared(seconds)} | {compared(cores)} | {gigabytes(peak)} | {gigabytes(gpu)} |")


if __name__ == "__main__":
    main()
