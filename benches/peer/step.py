#!/usr/bin/env python3
"""A training step in PyTorch, measured and told as `lora bench step --json` does (docs/bench-format.md).

    python benches/peer/step.py --family sd1 --size 512 --rank 32 --steps 3
    python benches/peer/step.py --family sdxl --size 1024 --batch 4 --precision bf16 --device cuda --checkpointing block

Needs torch and diffusers 0.32. No checkpoint is read: diffusers' UNet from the published config with random weights, its fused attention
(sdpa), LoRA on every linear layer and 1×1 convolution in the transformers, as kohya's scripts and `lora` adapt by default; AdamW, clipping.
Latents and text states are made up, as if cached.

--precision bf16 and f16 hold the frozen weights in that format and compute in it by autocast, LoRA in f32: what sd-scripts does with
--mixed_precision, and what is nearest to ours. With --checkpointing block diffusers computes each block again.
"""
import argparse, itertools, json, math, os, platform, resource, sys, time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from torch import nn

FORMAT = 1
CONFIGS = {
    "sd1": dict(sample_size=64, block_out_channels=(320, 640, 1280, 1280), attention_head_dim=8, cross_attention_dim=768),
    "sd2": dict(sample_size=96, block_out_channels=(320, 640, 1280, 1280), attention_head_dim=[5, 10, 20, 20],
                cross_attention_dim=1024, use_linear_projection=True),
    "sdxl": dict(sample_size=128, block_out_channels=(320, 640, 1280), attention_head_dim=[5, 10, 20], cross_attention_dim=2048,
                 use_linear_projection=True, transformer_layers_per_block=[1, 2, 10], addition_embed_type="text_time",
                 addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
                 down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                 up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")),
}
FORMATS = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class LoRA(nn.Module):
    """The frozen layer, and `scale · up(down(x))` beside it."""

    def __init__(self, base, rank):
        super().__init__()
        self.base = base
        if isinstance(base, nn.Conv2d):
            self.down = nn.Conv2d(base.in_channels, rank, 1, bias=False)
            self.up = nn.Conv2d(rank, base.out_channels, 1, bias=False)
        else:
            self.down = nn.Linear(base.in_features, rank, bias=False)
            self.up = nn.Linear(rank, base.out_features, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.normal_(self.up.weight, std=1e-3)

    def forward(self, x, *args, **kw):
        return self.base(x) + self.up(self.down(x))


def unet(family, device, dtype):
    from diffusers import UNet2DConditionModel
    with torch.device("meta"):
        network = UNet2DConditionModel(layers_per_block=2, **CONFIGS[family])
    network = network.to(dtype).to_empty(device=device)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                weight.normal_(std=1 / math.sqrt(weight[0].numel()))
            else:
                weight.fill_(1.0 if name.endswith("weight") else 0.0)
    return network.requires_grad_(False)


def adapt(network, rank):
    found = []
    for _, module in network.named_modules():
        if module.__class__.__name__ != "Transformer2DModel":
            continue
        for _, parent in module.named_modules():
            for name, child in parent.named_children():
                if isinstance(child, nn.Linear) or (isinstance(child, nn.Conv2d) and child.kernel_size == (1, 1)):
                    found.append((parent, name, child))
    leaves = []
    for parent, name, child in found:
        lora = LoRA(child, rank).to(child.weight.device)
        setattr(parent, name, lora)
        leaves += [lora.down.weight, lora.up.weight]
    return leaves


def measure(a, family, size, batch, precision, checkpointing):
    device, dtype = torch.device(a.device), FORMATS[precision]
    on_gpu = device.type == "cuda"
    torch.manual_seed(0)
    network = unet(family, device, dtype)
    leaves = adapt(network, a.rank)
    # diffusers checkpoints only while it trains; there is no dropout in these networks.
    network.train(checkpointing != "none")
    if checkpointing != "none":
        network.enable_gradient_checkpointing()
    forward = torch.compile(network) if a.compile else network
    side = size // 8
    latents, noise = (torch.randn(batch, 4, side, side, device=device) for _ in range(2))
    text = torch.randn(batch, 77, CONFIGS[family]["cross_attention_dim"], device=device, dtype=dtype)
    added = {}
    if family == "sdxl":
        sizes = torch.tensor([[float(size), float(size), 0.0, 0.0, float(size), float(size)]] * batch, device=device)
        added = {"added_cond_kwargs": {"text_embeds": torch.randn(batch, 1280, device=device, dtype=dtype), "time_ids": sizes}}
    betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, device=device) ** 2
    alphas = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.AdamW(leaves, lr=1e-4)
    scaler = torch.amp.GradScaler("cuda", enabled=on_gpu and precision == "f16")

    def step(index):
        timesteps = torch.tensor([(item * 997 + 31 + index) % 1000 for item in range(batch)], device=device)
        level = alphas[timesteps].view(-1, 1, 1, 1)
        noisy = level.sqrt() * latents + (1 - level).sqrt() * noise
        if checkpointing != "none":
            noisy.requires_grad_(True)
        with torch.autocast(device.type, dtype=dtype, enabled=precision != "f32"):
            prediction = forward(noisy, timesteps, text, **added).sample
        loss = torch.nn.functional.mse_loss(prediction.float(), noise)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(leaves, 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def sync():
        if on_gpu:
            torch.cuda.synchronize()

    started = time.perf_counter()
    for index in range(a.warm_up):
        step(index)
    sync()
    warm_up = time.perf_counter() - started
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds, worked = [], time.process_time()
    for index in range(a.steps):
        started = time.perf_counter()
        loss = step(a.warm_up + index)
        sync()
        seconds.append(time.perf_counter() - started)
    worked = (time.process_time() - worked) / a.steps
    ordered, half = sorted(seconds), len(seconds) // 2
    median = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return {
        "device": a.device, "device_name": torch.cuda.get_device_name() if on_gpu else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(), "peak_tflops": a.peak_tflops, "of_peak": None,
        "family": family, "trained": sum(leaf.numel() for leaf in leaves), "precision": precision, "eight_bit": False, "size": size,
        "batch": batch, "rank": a.rank, "text": False, "checkpointing": checkpointing, "seconds": seconds, "median": median,
        "spread": (ordered[-1] - ordered[0]) / median, "warm_up_seconds": warm_up, "pictures_per_second": batch / median,
        "core_seconds": worked, "loss": loss,
        "peak_resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "device_reserved": torch.cuda.max_memory_reserved() if on_gpu else None,
    }


def main():
    listed = lambda kind: lambda text: [kind(word) for word in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", type=listed(str), default=["sd1"])
    parser.add_argument("--size", type=listed(int), default=[512])
    parser.add_argument("--batch", type=listed(int), default=[1])
    parser.add_argument("--precision", type=listed(str), default=["f32"])
    parser.add_argument("--checkpointing", type=listed(str), default=["none"])
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--peak-tflops", type=float)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--tf32", action="store_true", help="let f32 products on an NVIDIA GPU round their factors")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", action="store_true", help="taken for lora's sake: it always prints JSON")
    a = parser.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = a.tf32
    torch.backends.cudnn.benchmark = True
    import diffusers
    document = {"format": FORMAT, "program": f"torch {torch.__version__}, diffusers {diffusers.__version__}", "steps": []}
    for case in itertools.product(a.family, a.size, a.batch, a.precision, a.checkpointing):
        document["steps"].append(measure(a, *case))
    json.dump(document, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
