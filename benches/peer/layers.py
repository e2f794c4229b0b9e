#!/usr/bin/env python3
"""Times PyTorch's layers at the sizes of benches/benches/layers.rs, and lays criterion's figures of ours beside them.

    LORA_BENCH_DEVICE=cpu cargo bench -p lora-bench --bench layers
    python benches/peer/layers.py [--device cuda] [--precision bf16] [--ours target/criterion]

Forward, and forward and backward with the gradient in the input alone. Medians in milliseconds.
"""
import argparse, json, pathlib, statistics, time

import torch
import torch.nn.functional as F
from torch import nn

FORMATS = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def cases(device, dtype):
    """Name, inputs, what is done with them."""
    random = lambda *shape: torch.randn(shape, device=device, dtype=dtype)
    frozen = lambda layer: layer.to(device, dtype).requires_grad_(False)
    for channels, side in [(320, 64), (640, 32), (1280, 16)]:
        yield f"convolution_{channels}_{side}x{side}", [random(1, channels, side, side)], frozen(nn.Conv2d(channels, channels, 3, padding=1))
    for channels, tokens in [(320, 4096), (1280, 256)]:
        linear = frozen(nn.Linear(channels, channels))
        yield f"linear_{channels}_{tokens}", [random(1, tokens, channels)], linear
        down, up = frozen(nn.Linear(channels, 16, bias=False)), frozen(nn.Linear(16, channels, bias=False))
        yield f"lora_{channels}_{tokens}", [random(1, tokens, channels)], lambda x, linear=linear, down=down, up=up: linear(x) + up(down(x))
    for tokens, context, channels in [(4096, 4096, 320), (1024, 1024, 640), (4096, 77, 320)]:
        split = lambda x: x.unflatten(2, (8, -1)).transpose(1, 2)
        attend = lambda q, k, v: F.scaled_dot_product_attention(split(q), split(k), split(v)).transpose(1, 2).flatten(2)
        yield f"attention_{channels}_{tokens}x{context}", [random(1, n, channels) for n in (tokens, context, context)], attend
    yield "group_norm_320_64x64", [random(1, 320, 64, 64)], frozen(nn.GroupNorm(32, 320))
    yield "silu_320_64x64", [random(1, 320, 64, 64)], F.silu
    yield "layer_norm_320_4096", [random(1, 4096, 320)], frozen(nn.LayerNorm(320))
    yield "geglu_2560_4096", [random(1, 4096, 2560)], lambda x: x.chunk(2, -1)[0] * F.gelu(x.chunk(2, -1)[1])


def median(work, device):
    sync = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    seconds, started = [], time.perf_counter()
    while len(seconds) < 8 or (time.perf_counter() - started < 2 and len(seconds) < 200):
        sync()
        start = time.perf_counter()
        work()
        sync()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[3:])


def both(inputs, layer):
    leaves = [x.requires_grad_(True) for x in inputs]
    out = layer(*leaves)
    torch.autograd.grad(out, leaves, torch.ones_like(out))


def ours(folder, name, part):
    path = pathlib.Path(folder, "layer", name, part, "new", "estimates.json")
    return json.loads(path.read_text())["median"]["point_estimate"] / 1e9 if path.exists() else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="f32", choices=FORMATS)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--ours", default="target/criterion")
    a = parser.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.backends.cudnn.benchmark = True
    device = torch.device(a.device)
    print("| layer | forward, ms: ours, PyTorch, ratio | forward and backward, ms: ours, PyTorch, ratio |\n|---|---|---|")
    for name, inputs, layer in cases(device, FORMATS[a.precision]):
        with torch.no_grad():
            forward = median(lambda: layer(*inputs), device)
        backward = median(lambda: both(inputs, layer), device)
        told = [(ours(a.ours, name, "forward"), forward), (ours(a.ours, name, "both"), backward)]
        print(f"| `{name}` | " + " | ".join(f"{mine * 1e3:.2f}, {theirs * 1e3:.2f}, {mine / theirs:.2f}" for mine, theirs in told) + " |")


if __name__ == "__main__":
    main()
