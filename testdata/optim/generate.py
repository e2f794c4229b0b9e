"""Records trajectories of optimisers that the golden data lack, on the golden problem.

    pip install numpy prodigyopt==1.1.2 schedulefree==1.4.1
    pip download --no-deps --no-binary=:all: dadaptation==3.2   # and unpack it
    python generate.py DADAPTATION SITE_PACKAGES > trajectories.safetensors

The packages' own code runs here, on a stand-in for torch of a few lines over numpy's f32: every operation rounds once, as
torch's do. To prove the stand-in, cases of the golden data, which real PyTorch made, are run on it first and compared.
`lion8bit_ref` is Lion with the eight-bit momentum of the golden data's generator (nearest code, CUDA's sign rule).
"""
import json, struct, sys, types
from contextlib import redirect_stdout
from pathlib import Path
import numpy as np

F = np.float32
STEPS, SNAPSHOTS = 50, (1, 10, 50)
GOLDEN = Path(__file__).parent / "../golden/optim"


class Tensor:
    """What the optimisers use of torch.Tensor; numbers become f32 before they meet one, as in torch's kernels."""

    def __init__(self, a):
        self.a, self.grad = np.asarray(a, F), None

    data = property(lambda s: s)

    def raw(x):
        return x.a if isinstance(x, Tensor) else F(x)

    def put(s, a):
        s.a[...] = a
        return s

    def add_(s, o, alpha=1): return s.put(s.a + F(alpha) * Tensor.raw(o))
    def add(s, o, alpha=1): return Tensor(s.a + F(alpha) * Tensor.raw(o))
    def sub_(s, o, alpha=1): return s.put(s.a - F(alpha) * Tensor.raw(o))
    def mul_(s, o): return s.put(s.a * Tensor.raw(o))
    def mul(s, o): return Tensor(s.a * Tensor.raw(o))
    def div(s, o): return Tensor(s.a / Tensor.raw(o))
    def sqrt(s): return Tensor(np.sqrt(s.a))
    def sqrt_(s): return s.put(np.sqrt(s.a))
    def abs(s): return Tensor(np.abs(s.a))
    def sum(s): return Tensor(s.a.sum(dtype=F))
    def item(s): return float(s.a)
    def any(s): return bool(s.a.any())
    def flatten(s): return Tensor(s.a.reshape(-1))
    def clone(s): return Tensor(s.a.copy())
    def detach(s): return s
    def copy_(s, o): return s.put(o.a)
    def addcmul_(s, x, y, value=1): return s.put(s.a + F(value) * x.a * y.a)
    def addcdiv_(s, x, y, value=1): return s.put(s.a + F(value) * (x.a / y.a))
    def __getitem__(s, i): return Tensor(s.a[i])
    def __mul__(s, o): return Tensor(s.a * Tensor.raw(o))
    def __sub__(s, o): return Tensor(s.a - Tensor.raw(o))
    dtype = device = None


class Optimizer:
    def __init__(self, params, defaults):
        self.param_groups = [dict(defaults, params=list(params))]
        self.state = {p: {} for p in params}


class NoGrad:
    def __call__(self, f): return f


def stand_in():
    torch, optim, inner = (types.ModuleType(n) for n in ("torch", "torch.optim", "torch.optim.optimizer"))
    distributed = types.ModuleType("torch.distributed")
    torch.optim, torch.distributed, torch.Tensor, torch.no_grad = optim, distributed, Tensor, NoGrad
    optim.Optimizer, inner.ParamsT, inner.Optimizer = Optimizer, object, Optimizer
    torch.preserve_format = None
    torch.zeros_like = lambda t, **_: Tensor(np.zeros_like(t.a))
    torch.clone = lambda t, **_: t.clone()
    torch.dot = lambda x, y: Tensor(np.dot(x.a, y.a))
    torch.tensor = lambda v, **_: Tensor(v)
    for m in (torch, optim, inner, distributed):
        sys.modules[m.__name__] = m


def module(path):
    m = types.ModuleType(Path(path).stem)
    exec(compile(Path(path).read_text(encoding="utf-8"), str(path), "exec"), m.__dict__)
    return m


def read(path):
    b = Path(path).read_bytes()
    n = struct.unpack("<Q", b[:8])[0]
    kinds = {"F16": np.float16, "F32": F, "U8": np.uint8}
    out = {}
    for name, i in json.loads(b[8:8 + n]).items():
        if name != "__metadata__":
            at, to = i["data_offsets"]
            out[name] = np.frombuffer(b[8 + n + at:8 + n + to], kinds[i["dtype"]]).reshape(i["shape"])
    return out


def write(tensors):
    header, data = {}, b""
    for name in sorted(tensors):
        raw = tensors[name].astype(F).tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    sys.stdout.buffer.write(struct.pack("<Q", len(text)) + text + data)


def run(make, problem, rate_at=None):
    params = {n[7:]: Tensor(a.astype(F)) for n, a in problem.items() if n.startswith("param0.")}
    optimizer = make(list(params.values()))
    if hasattr(optimizer, "train"):
        optimizer.train()
    out = {}
    for t in range(STEPS):
        for n, p in params.items():
            p.grad = Tensor(problem["grads." + n][t].astype(F))
        if rate_at:
            for group in optimizer.param_groups:
                group["lr"] = rate_at(t)
        optimizer.step()
        if t + 1 in SNAPSHOTS:
            for n, p in params.items():
                out[f"step{t + 1}.{n}"] = p.a.copy()
                if hasattr(optimizer, "eval"):
                    out[f"average{t + 1}.{n}"] = optimizer.state[p]["x"].a.copy()
    return {n: a for n, a in out.items() if a.size < 1000 or n.split(".")[0].endswith("50")}


class Lion8bit:
    def __init__(self, params, lr, wd, signed, block=256, betas=(0.9, 0.99), min_8bit=4096):
        self.params, self.lr, self.wd, self.map, self.block, self.betas, self.min = params, lr, wd, signed, block, betas, min_8bit
        self.m = [np.zeros(p.a.size, F) for p in params]
        self.param_groups = []

    def rounded(self, m):
        blocks = np.concatenate([m, np.zeros(-m.size % self.block, F)]).reshape(-1, self.block)
        top = np.abs(blocks).max(1, keepdims=True)
        y = np.where(top > 0, blocks / np.where(top > 0, top, F(1)), F(0))
        code = np.searchsorted((self.map[1:] + self.map[:-1]) / F(2), y)
        wrong = np.signbit(self.map[code]) != np.signbit(y)
        code = np.where(wrong, np.where(y > 0, code + 1, code - 1), code)
        return (self.map[code] * top).reshape(-1)[:m.size]

    def step(self):
        b1, b2 = self.betas
        for i, p in enumerate(self.params):
            g, m = p.grad.a.reshape(-1), self.m[i]
            direction = np.sign(m * F(b1) + g * F(1 - b1)).reshape(p.a.shape)
            p.put(p.a * F(1 - self.lr * self.wd) - F(self.lr) * direction)
            m = m * F(b2) + g * F(1 - b2)
            self.m[i] = m if m.size < self.min else self.rounded(m)


def main():
    dadaptation, site = map(Path, sys.argv[1:3])
    stand_in()
    sgd = module(dadaptation / "dadaptation/dadapt_sgd.py").DAdaptSGD
    adam = module(dadaptation / "dadaptation/dadapt_adam.py").DAdaptAdam
    prodigy = module(site / "prodigyopt/prodigy.py").Prodigy
    free = module(site / "schedulefree/adamw_schedulefree_reference.py").AdamWScheduleFreeReference
    problem, golden = read(GOLDEN / "problem.safetensors"), read(GOLDEN / "trajectories.safetensors")
    for case, make in {"dadaptadam": lambda p: adam(p, lr=1.0), "prodigy": lambda p: prodigy(p, lr=1.0)}.items():
        worst = max(np.abs(a - golden[f"{case}.{n}"]).max() for n, a in run(make, problem).items())
        print(f"{case} on the stand-in and on PyTorch: {worst:.1e} apart", file=sys.stderr)
        assert worst < 2e-6
    signed = read(GOLDEN / "dynamic_maps.safetensors")["signed"]
    cases = {
        "dadaptsgd": (lambda p: sgd(p, lr=1.0, d0=1e-2), None),
        "dadaptsgd_momentum": (lambda p: sgd(p, lr=0.5, momentum=0.9, weight_decay=0.01, d0=1e-2, growth_rate=1.02), None),
        "dadaptadam_growth": (lambda p: adam(p, lr=1.0, weight_decay=0.1, growth_rate=1.05, d0=1e-4), None),
        "prodigy_coupled": (lambda p: prodigy(p, lr=1.0, beta3=0.9, weight_decay=0.1, decouple=False, d0=1e-4, growth_rate=1.02), None),
        "schedulefree": (lambda p: free(p, lr=2.5e-3), None),
        "schedulefree_warmup": (
            lambda p: free(p, betas=(0.95, 0.99), eps=1e-6, weight_decay=0.1, r=1.0, weight_lr_power=1.5),
            lambda t: 2e-3 * min(t / 5, 1.0) * (1 - t / 100),
        ),
        "lion8bit_ref": (lambda p: Lion8bit(p, 1e-4, 0.01, signed), None),
    }
    with redirect_stdout(sys.stderr):  # some of them say what they do
        recorded = {f"{case}.{n}": a for case, (make, rate) in cases.items() for n, a in run(make, problem, rate).items()}
    write(recorded)


main()
