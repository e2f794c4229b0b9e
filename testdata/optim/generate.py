"""Records trajectories of optimisers that the golden data lack, on the golden problem, and averages of weights.

    pip install torch==2.11 safetensors prodigyopt==1.1.2 schedulefree==1.4.1 dadaptation==3.2 diffusers==0.32.1
    python generate.py

The packages' own code runs here, on PyTorch's CPU. `lion8bit_ref` is Lion with the eight-bit momentum of the golden
data's generator (nearest code, CUDA's sign rule). `ema.safetensors` holds what diffusers' EMAModel makes of the way that
AdamW takes, under two settings.
"""
from contextlib import redirect_stdout
from pathlib import Path
import sys
import torch
from dadaptation import DAdaptAdam, DAdaptLion, DAdaptSGD
from diffusers.training_utils import EMAModel
from prodigyopt import Prodigy
from safetensors.torch import load_file, save_file
from schedulefree import AdamWScheduleFreeReference

STEPS, SNAPSHOTS = 50, (1, 10, 50)
HERE = Path(__file__).parent
GOLDEN = HERE / "../golden/optim"
torch.set_num_threads(1)


class Lion8bit(torch.optim.Optimizer):
    def __init__(self, params, signed, block=256, lr=1e-4, wd=0.01, betas=(0.9, 0.99), min_8bit=4096):
        super().__init__(params, dict(lr=lr))
        self.map, self.block, self.wd, self.betas, self.min = signed, block, wd, betas, min_8bit

    def rounded(self, m):
        blocks = torch.cat([m, torch.zeros(-m.numel() % self.block)]).reshape(-1, self.block)
        top = blocks.abs().amax(1, keepdim=True)
        y = torch.where(top > 0, blocks / torch.where(top > 0, top, 1), 0)
        code = torch.bucketize(y, (self.map[1:] + self.map[:-1]) / 2)
        wrong = self.map[code].signbit() != y.signbit()
        code = torch.where(wrong, torch.where(y > 0, code + 1, code - 1), code)
        return (self.map[code] * top).reshape(-1)[: m.numel()]

    @torch.no_grad()
    def step(self):
        (b1, b2), lr = self.betas, self.param_groups[0]["lr"]
        for p in self.param_groups[0]["params"]:
            g, m = p.grad.reshape(-1), self.state[p].get("m", torch.zeros(p.numel()))
            direction = torch.sign(m * b1 + g * (1 - b1)).reshape(p.shape)
            p.mul_(1 - lr * self.wd).add_(direction, alpha=-lr)
            m = m * b2 + g * (1 - b2)
            self.state[p]["m"] = m if m.numel() < self.min else self.rounded(m)


def start(problem):
    return {n[7:]: torch.nn.Parameter(a.float().clone()) for n, a in problem.items() if n.startswith("param0.")}


def walk(make, problem, rate_at=None):
    """The parameters by name and their optimiser, after each step."""
    params = start(problem)
    optimizer = make(list(params.values()))
    if hasattr(optimizer, "train"):
        optimizer.train()
    for t in range(STEPS):
        for n, p in params.items():
            p.grad = problem["grads." + n][t].float()
        if rate_at:
            for group in optimizer.param_groups:
                group["lr"] = rate_at(t)
        optimizer.step()
        yield t + 1, params, optimizer


def trajectory(make, problem, rate_at=None):
    out = {}
    for step, params, optimizer in walk(make, problem, rate_at):
        if step in SNAPSHOTS:
            for n, p in params.items():
                if p.numel() < 1000 or step == STEPS:
                    out[f"step{step}.{n}"] = p.detach().clone()
                    if hasattr(optimizer, "eval"):
                        out[f"average{step}.{n}"] = optimizer.state[p]["x"].clone()
    return out


def averages(problem, cases):
    """The way that AdamW takes with the vector and the scalar, the averages along it, and the decay of each step."""
    small = {n: a for n, a in problem.items() if "vector" in n or "scalar" in n}
    begin = start(small)
    emas = {case: EMAModel(list(begin.values()), **settings) for case, settings in cases.items()}
    out, decays = {f"step0.{n}": p.detach() for n, p in begin.items()}, {case: [] for case in cases}
    for step, params, _ in walk(lambda p: torch.optim.AdamW(p, lr=1e-2), small):
        out |= {f"step{step}.{n}": p.detach().clone() for n, p in params.items()}
        for case, ema in emas.items():
            ema.step(list(params.values()))
            decays[case].append(ema.cur_decay_value)
            if step in SNAPSHOTS:
                out |= {f"{case}.average{step}.{n}": a.clone() for n, a in zip(params, ema.shadow_params)}
    return out | {f"{case}.decays": torch.tensor(all, dtype=torch.float64) for case, all in decays.items()}


def main():
    problem, signed = load_file(GOLDEN / "problem.safetensors"), load_file(GOLDEN / "dynamic_maps.safetensors")["signed"]
    cases = {
        "dadaptsgd": (lambda p: DAdaptSGD(p, lr=1.0, d0=1e-2), None),
        "dadaptsgd_momentum": (lambda p: DAdaptSGD(p, lr=0.5, momentum=0.9, weight_decay=0.01, d0=1e-2, growth_rate=1.02), None),
        "dadaptadam_growth": (lambda p: DAdaptAdam(p, lr=1.0, weight_decay=0.1, growth_rate=1.05, d0=1e-4), None),
        "dadaptlion_far": (lambda p: DAdaptLion(p, lr=0.5, weight_decay=0.01, d0=1e-1), None),
        "prodigy_coupled": (lambda p: Prodigy(p, lr=1.0, beta3=0.9, weight_decay=0.1, decouple=False, d0=1e-4, growth_rate=1.02), None),
        "schedulefree": (lambda p: AdamWScheduleFreeReference(p, lr=2.5e-3), None),
        "schedulefree_warmup": (
            lambda p: AdamWScheduleFreeReference(p, betas=(0.95, 0.99), eps=1e-6, weight_decay=0.1, r=1.0, weight_lr_power=1.5),
            lambda t: 2e-3 * min(t / 5, 1.0) * (1 - t / 100),
        ),
        "lion8bit_ref": (lambda p: Lion8bit(p, signed), None),
    }
    with redirect_stdout(sys.stderr):  # some of them say what they do
        recorded = {f"{case}.{n}": a for case, (make, rate) in cases.items() for n, a in trajectory(make, problem, rate).items()}
    save_file(recorded, HERE / "trajectories.safetensors")
    settings = {
        "plain": dict(decay=0.9),
        "power": dict(decay=0.95, min_decay=0.1, update_after_step=5, use_ema_warmup=True, inv_gamma=2.0, power=0.75),
    }
    save_file(averages(problem, settings), HERE / "ema.safetensors")


main()
