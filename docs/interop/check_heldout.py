#!/usr/bin/env python3
"""Measures the held-out loss of the quick start's files with diffusers and compares it with the run's report.

    cargo run --release -- quickstart
    python docs/interop/check_heldout.py quickstart

Shows that the saved files do in diffusers what they did in training. Needs torch, diffusers, transformers, peft, ftfy,
pillow and safetensors; see README.md for the versions of the recorded output. Ends with exit code 1 when a loss is off.
"""

import argparse
import json
import pathlib

import numpy
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file

# Relative. Training held the factors in f32 and the files hold them in f16: that moves the mean by a few millionths.
LIMIT = 2e-5


def pictures(folder):
    """Pictures `[count, 3, height, width]` in [-1, 1], and their captions."""
    paths = sorted(folder.glob("*.png"))
    pixels = [torch.from_numpy(numpy.array(Image.open(path).convert("RGB"))).permute(2, 0, 1) for path in paths]
    captions = [path.with_suffix(".txt").read_text().strip() for path in paths]
    return torch.stack(pixels).float() / 127.5 - 1, captions


@torch.no_grad()
def heldout_loss(pipe, latents, ids, noise, timesteps):
    """Mean squared error of the predicted noise over all pictures and timesteps."""
    text = pipe.text_encoder(ids).last_hidden_state
    alphas = pipe.scheduler.alphas_cumprod
    losses = []
    for timestep, drawn in zip(timesteps, noise):
        noisy = alphas[timestep].sqrt() * latents + (1 - alphas[timestep]).sqrt() * drawn
        predicted = pipe.unet(noisy, timestep.repeat(len(latents)), text).sample
        losses.append((predicted - drawn).square().mean())
    return torch.stack(losses).mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="what `lora quickstart --out` wrote")
    folder = parser.parse_args().folder
    report = json.loads((folder / "report.json").read_text())
    # Each file was measured when it was saved; `metrics.jsonl` tells at which step that was.
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = {event["step"]: event["heldout_loss"] for event in events if event["event"] == "measured"}
    saved = {pathlib.Path(event["path"]).name: event["step"] for event in events if event["event"] == "saved"}

    pipe = StableDiffusionPipeline.from_pretrained(
        folder / "mini/base", torch_dtype=torch.float32, safety_checker=None, requires_safety_checker=False
    )
    pixels, captions = pictures(folder / "mini/style_heldout")
    stored = load_file(folder / "mini/reference/heldout_noise.safetensors")
    with torch.no_grad():
        latents = pipe.vae.encode(pixels).latent_dist.mode() * pipe.vae.config.scaling_factor
    ids = pipe.tokenizer(captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    measure = lambda: heldout_loss(pipe, latents, ids, stored["noise"].float(), stored["timesteps"])

    worst = 0.0
    print(f"{'file':<32} {'diffusers':>10} {'report':>10} {'relative':>10}")
    for name in [None, *report["files"], report["last_file"]]:
        if name:
            pipe.load_lora_weights(folder / name)
        ours, theirs = losses[saved[name] if name else 0], measure()
        worst = max(worst, abs(ours / theirs - 1))
        print(f"{name or 'no LoRA':<32} {theirs:>10.6f} {ours:>10.6f} {abs(ours / theirs - 1):>10.1e}")
        if name:
            pipe.unload_lora_weights()
    print("all equal" if worst <= LIMIT else f"FAILED: more than {LIMIT:.0e} off")
    raise SystemExit(worst > LIMIT)


if __name__ == "__main__":
    main()
