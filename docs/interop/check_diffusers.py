#!/usr/bin/env python3
"""Loads a LoRA file of ours with diffusers and compares what both programs compute.

Our side is written by an example program:

    cargo run --release -p lora-train --example dump_forward -- BASE LORA.safetensors PROMPT dump.json
    python docs/interop/check_diffusers.py BASE LORA.safetensors dump.json

Needs torch, diffusers, transformers, peft, ftfy and safetensors; see README.md for the versions of the recorded output.
Ends with exit code 1 when anything is off.
"""

import argparse
import json
import logging

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file

# The largest difference over the largest reference value. Rounding in f32 alone makes about 4e-6 of one forward pass
# (testdata/golden/forward/report.json); twenty guided steps feed each other.
FORWARD_LIMIT = 2e-5
PICTURE_LIMIT = 2e-4

failures = []


def report(what, value, limit):
    holds = value <= limit
    print(f"  {what:<34} {value:.2e}  (limit {limit:.0e}){'' if holds else '  FAILED'}")
    if not holds:
        failures.append(what)


def deviation(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def require(holds, what):
    print(f"  {what}{'' if holds else '  FAILED'}")
    if not holds:
        failures.append(what)


class Warnings(logging.Handler):
    """Keeps what diffusers complains about, such as unexpected keys."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def compare_weights(pipe, path):
    """Every module of the file must have arrived, with its numbers and its scale, and no other."""
    stored = load_file(path)
    modules = {key.rsplit(".", 1)[0] for key in stored if key.endswith(".alpha")}
    arrived, largest, scales = set(), 0.0, True
    for prefix, network in (("lora_unet_", pipe.unet), ("lora_te_", pipe.text_encoder)):
        for name, layer in network.named_modules():
            if not isinstance(layer, BaseTunerLayer) or not layer.lora_A:
                continue
            adapter = layer.active_adapters[0]
            module = prefix + name.replace(".", "_")
            arrived.add(module)
            down, up = stored[f"{module}.lora_down.weight"].float(), stored[f"{module}.lora_up.weight"].float()
            scale = stored[f"{module}.alpha"].item() / down.shape[0]
            scales &= abs(layer.scaling[adapter] - scale) < 1e-6
            theirs = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
            largest = max([largest] + [(a - b).abs().max().item() for a, b in zip((down, up), theirs)])
    require(len(modules) * 3 == len(stored), f"the file has {len(modules)} modules of three tensors each")
    require(not modules - arrived, f"modules of the file that diffusers did not take: {len(modules - arrived)}")
    require(not arrived - modules, f"modules of diffusers that the file does not have: {len(arrived - modules)}")
    require(largest == 0, f"largest difference of a weight: {largest}")
    require(scales, "alpha / rank arrived as the scale of every module")


@torch.no_grad()
def compare_answers(pipe, dump, label):
    """Text states, two UNet answers, and a picture drawn from the same noise."""
    array = lambda name: torch.tensor(dump["tensors"][name]["values"]).view(dump["tensors"][name]["shape"])
    ours = lambda name: array(f"{label}.{name}")
    noise, ids = array("noise"), torch.tensor(dump["ids"])
    text = pipe.text_encoder(ids).last_hidden_state
    report(f"{label}: text states", deviation(ours("text"), text), FORWARD_LIMIT)
    unet = pipe.unet(noise.repeat(2, 1, 1, 1), torch.tensor(dump["timesteps"]), text).sample
    report(f"{label}: UNet", deviation(ours("unet"), unet), FORWARD_LIMIT)

    drawn = dict(
        prompt=dump["prompt"],
        num_inference_steps=dump["steps"],
        guidance_scale=dump["guidance"],
        height=noise.shape[2] * pipe.vae_scale_factor,
        width=noise.shape[3] * pipe.vae_scale_factor,
    )
    latents = pipe(latents=noise, output_type="latent", **drawn).images
    report(f"{label}: latents after {dump['steps']} steps", deviation(ours("latents"), latents), PICTURE_LIMIT)
    picture = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    report(f"{label}: picture", deviation(ours("picture"), picture), PICTURE_LIMIT)
    as_bytes = lambda pixels: ((pixels.clamp(-1, 1) + 1) * 127.5).round()
    steps = (as_bytes(ours("picture")) - as_bytes(picture)).abs()
    share = (steps > 0).float().mean().item()
    print(f"  {label}: picture in bytes: {share:.2%} of them differ, by at most {int(steps.max())} of 255")
    return ours("unet")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for argument in ("base", "lora", "dump"):
        parser.add_argument(argument)
    arguments = parser.parse_args()
    with open(arguments.dump) as file:
        dump = json.load(file)
    heard = Warnings()
    diffusers_logging.get_logger("diffusers").addHandler(heard)

    pipe = StableDiffusionPipeline.from_pretrained(
        arguments.base, torch_dtype=torch.float32, safety_checker=None, requires_safety_checker=False
    )
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)

    print("tokens")
    texts = ["", dump["prompt"]]
    theirs = [pipe.tokenizer(t, padding="max_length", max_length=77, truncation=True).input_ids for t in texts]
    require(theirs == dump["ids"], f"ids of {len(texts)} prompts are equal")
    print("without LoRA")
    plain = compare_answers(pipe, dump, "base")

    print("loading the LoRA")
    heard.messages.clear()
    pipe.load_lora_weights(arguments.lora)
    for message in heard.messages:
        print("  diffusers:", message)
    complaints = [message for message in heard.messages if "keys" in message.lower()]
    require(not complaints, f"complaints about keys: {len(complaints)}")
    compare_weights(pipe, arguments.lora)
    print("with LoRA")
    changed = compare_answers(pipe, dump, "lora")
    effect = deviation(changed, plain)
    require(effect > 0.01, f"the LoRA changes the UNet's answer by {effect:.2f} of its largest value")

    print("all equal" if not failures else f"FAILED: {', '.join(failures)}")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
