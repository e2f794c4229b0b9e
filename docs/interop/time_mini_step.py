#!/usr/bin/env python3
"""Times PyTorch's training step of the quick start's run, to lay beside ours on the same machine.

    python docs/interop/time_mini_step.py [--steps 40] [--threads 2]

The step is that of assets/mini/make/lora_check.py without convolutions: rank 16 on the 96 linear layers and 1x1
convolutions of text encoder and UNet attention, batch 4, min-SNR 5, clipping, AdamW. Latents are random, which costs the
same as real ones. Needs torch, diffusers and transformers. Prints the mean, as `steps_per_second` of report.json is one,
and the median.
"""

import argparse
import math
import pathlib
import statistics
import time

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import nn
from transformers import CLIPTextModel

BASE = pathlib.Path(__file__).resolve().parents[2] / "assets/mini/base"
RANK, BATCH, WARM_UP = 16, 4, 5


class Lora(nn.Module):
    """A frozen layer with `up(down(x))` beside it; alpha is the rank."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        if isinstance(base, nn.Conv2d):
            self.down = nn.Conv2d(base.in_channels, RANK, 1, bias=False)
            self.up = nn.Conv2d(RANK, base.out_channels, 1, bias=False)
        else:
            self.down = nn.Linear(base.in_features, RANK, bias=False)
            self.up = nn.Linear(RANK, base.out_features, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.up.weight)

    def forward(self, x, *_):
        return self.base(x) + self.up(self.down(x))


def inject(network, part):
    """Wraps every linear layer and convolution whose path holds `part`."""
    adapters = []
    for name, layer in list(network.named_modules()):
        if part in name and isinstance(layer, (nn.Linear, nn.Conv2d)):
            parent, _, last = name.rpartition(".")
            adapters.append(Lora(layer))
            setattr(network.get_submodule(parent), last, adapters[-1])
    return adapters


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sdpa", action="store_true", help="torch's fused attention instead of the plain one")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)

    text_encoder = CLIPTextModel.from_pretrained(BASE / "text_encoder", torch_dtype=torch.float32).eval()
    unet = UNet2DConditionModel.from_pretrained(BASE / "unet", torch_dtype=torch.float32).eval()
    unet.set_attn_processor(AttnProcessor2_0() if arguments.sdpa else AttnProcessor())
    for network in (text_encoder, unet):
        network.requires_grad_(False)
    adapters = inject(unet, "attentions") + inject(text_encoder, "encoder.layers")
    weights = [weight for adapter in adapters for weight in (adapter.down.weight, adapter.up.weight)]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.01)

    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alphas = torch.cumprod(1 - betas, 0).float()
    snr = alphas / (1 - alphas)
    snr_weight = snr.clamp(max=5) / snr
    ids = torch.full((BATCH, 77), 320)
    side = unet.config.sample_size

    seconds = []
    for _ in range(WARM_UP + arguments.steps):
        began = time.perf_counter()
        latents, noise = torch.randn(BATCH, 4, side, side), torch.randn(BATCH, 4, side, side)
        timesteps = torch.randint(0, 1000, (BATCH,))
        alpha = alphas[timesteps].view(-1, 1, 1, 1)
        text = text_encoder(ids).last_hidden_state
        answer = unet(alpha.sqrt() * latents + (1 - alpha).sqrt() * noise, timesteps, text).sample
        loss = ((answer - noise).square().mean((1, 2, 3)) * snr_weight[timesteps]).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        loss.item()
        seconds.append(time.perf_counter() - began)
    seconds = seconds[WARM_UP:]
    numbers = sum(weight.numel() for weight in weights)
    print(f"torch {torch.__version__}, {arguments.threads} threads, {len(adapters)} layers, {numbers} numbers, batch {BATCH}")
    print(f"mean {statistics.mean(seconds):.4f} s/step, median {statistics.median(seconds):.4f} s/step")


if __name__ == "__main__":
    main()
