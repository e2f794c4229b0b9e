"""Records the learning rates of PyTorch's OneCycleLR and of transformers' inverse square root schedule.

    pip install torch==2.11.0 transformers==4.54.1
    python generate_schedules.py > schedules.csv

The base rate is 1e-4 over 1,000 steps; a row is the rate that a step is made with. Columns: kind / warm-up in steps, and for
`inverse_sqrt` / timescale, empty where it is left out.
"""
import sys
import torch
from transformers import get_inverse_sqrt_schedule

BASE, TOTAL = 1e-4, 1000


def rates(make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    schedule, seen = make(optimizer), []
    for step in range(TOTAL):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < TOTAL - 1:
            schedule.step()
    return seen


def one_cycle(warmup):
    return rates(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, BASE, TOTAL, pct_start=warmup / TOTAL, cycle_momentum=False))


def inverse_sqrt(warmup, timescale):
    return rates(lambda o: get_inverse_sqrt_schedule(o, warmup, timescale))


columns = {f"one_cycle/{warmup}": one_cycle(warmup) for warmup in (300, 100, 2)}
columns |= {f"inverse_sqrt/{warmup}/{timescale or ''}": inverse_sqrt(warmup, timescale)
            for warmup, timescale in ((0, None), (100, None), (100, 250), (0, 40))}
rows = [*range(12), *range(20, TOTAL, 20), 97, 98, 99, 101, 102, 297, 298, 299, 301, 302, 996, 997, 998, 999]
print("step", *columns, sep=",")
for row in sorted(rows):
    print(row, *(repr(float(column[row])) for column in columns.values()), sep=",")
