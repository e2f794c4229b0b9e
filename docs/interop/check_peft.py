#!/usr/bin/env python3
"""LoRA files of ours, in kohya's layout and in PEFT's, loaded by diffusers and peft: SD 1.x, SD 2.x and SDXL.

    cargo build
    python docs/interop/check_peft.py target/debug/lora testdata/golden

For each of the three small models of the golden data:
  - a tuned model is made by adding a matrix of rank 4 to every layer that a LoRA can change,
  - `lora extract` makes a LoRA of the difference, `lora convert` a second file in PEFT's layout, `lora merge --into`
    puts it back into the base model, `lora resize` gives each of its layers a rank of its own,
  - diffusers loads both files. It must take every key, complain about none, and compute what the tuned model computes.
For SD 1.x and SDXL the same is done with the golden files that sd-scripts wrote, against sd-scripts' own answers. Its LoCon
file is one that diffusers applies at another strength as it is: its ranks differ, and its alphas are not the ranks.

Needs torch, diffusers, transformers, peft and safetensors; see README.md for the versions of the recorded output.
Ends with exit code 1 when anything is off.
"""

import argparse
import json
import logging
import os
import shutil
import subprocess
import tempfile

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.utils import logging as diffusers_logging
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

MODELS = ("tiny-sd15", "tiny-sd21", "tiny-sdxl")
LORAS = (("tiny-sd15", "lora"), ("tiny-sd15", "locon"), ("tiny-sdxl", "lora"))
# Largest difference over the largest value. The LoRA is stored in f32; base + correction is rounded to f32 once, and
# the correction is applied after the layer instead of in its weight.
LIMIT = 2e-5
# Weights of a merged model: rounding of a sum in f32.
WEIGHT_LIMIT = 1e-6

failures = []


def require(holds, what):
    print(f"  {what}{'' if holds else '  FAILED'}")
    if not holds:
        failures.append(what)


def report(what, value, limit):
    require(value <= limit, f"{what:<40} {value:.2e}  (limit {limit:.0e})")


def deviation(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


class Complaints(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def load(folder):
    """The networks of a model in f32, with whatever LoRA they are given through a pipeline."""
    networks = {"unet": UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=torch.float32)}
    networks["text_encoder"] = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", torch_dtype=torch.float32)
    if os.path.isdir(os.path.join(folder, "text_encoder_2")):
        networks["text_encoder_2"] = CLIPTextModelWithProjection.from_pretrained(
            folder, subfolder="text_encoder_2", torch_dtype=torch.float32
        )
    return {name: network.eval() for name, network in networks.items()}


def pipeline(folder, networks):
    vae = AutoencoderKL.from_pretrained(folder, subfolder="vae")
    scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler", clip_sample=False, steps_offset=1)
    unet, text = networks["unet"], networks["text_encoder"]
    if "text_encoder_2" in networks:
        return StableDiffusionXLPipeline(vae, text, networks["text_encoder_2"], None, None, unet, scheduler)
    return StableDiffusionPipeline(vae, text, None, unet, scheduler, None, None, requires_safety_checker=False)


def inputs(seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 40000, (2, 77), generator=generator)
    ids[:, 0], ids[:, -1] = 49406, 49407
    return {
        "ids": [ids, ids],
        "latents": torch.randn(2, 4, 16, 16, generator=generator),
        "timesteps": torch.tensor([249, 801]),
        "time_ids": torch.tensor([[512.0, 512, 0, 0, 512, 512], [1024, 768, 8, 0, 1024, 768]]),
    }


@torch.no_grad()
def answers(networks, given):
    """Text states and the UNet's answer, as sd-scripts asks for them."""
    first = networks["text_encoder"](given["ids"][0], output_hidden_states=True)
    if "text_encoder_2" not in networks:
        context = first.last_hidden_state
        out = networks["unet"](given["latents"], given["timesteps"], context).sample
        return {"text states": context, "UNet": out}
    second = networks["text_encoder_2"](given["ids"][1], output_hidden_states=True)
    context = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1)
    added = {"text_embeds": second.text_embeds, "time_ids": given["time_ids"]}
    out = networks["unet"](given["latents"], given["timesteps"], context, added_cond_kwargs=added).sample
    return {"text states": context, "pooled": second.text_embeds, "UNet": out}


def adaptable(component, name, module):
    """The layers that kohya's LoRA and LoCon change."""
    if not isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
        return False
    if component != "unet":
        return ".encoder.layers." in name
    inside = any(part in name for part in (".attentions.", ".resnets.", ".downsamplers.", ".upsamplers."))
    return inside and not name.startswith("conv")


def weights(folder, component):
    return os.path.join(folder, component, f"{'diffusion_pytorch_model' if component == 'unet' else 'model'}.safetensors")


def save(network, folder, component):
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, weights(folder, component), {"format": "pt"})


@torch.no_grad()
def tune(source, target):
    """Copies a model in f32, with a matrix of rank 4 added to every adaptable weight; returns their number."""
    shutil.copytree(source, target)
    networks, count = load(source), 0
    for component, network in networks.items():
        for name, module in network.named_modules():
            if adaptable(component, name, module):
                generator = torch.Generator().manual_seed(count)
                weight = module.weight
                up = torch.randn(weight.shape[0], 4, generator=generator)
                down = torch.randn(4, weight[0].numel(), generator=generator) / weight[0].numel() ** 0.5
                weight += 0.02 * (up @ down).view_as(weight)
                count += 1
        save(network, target, component)
    return count


def lora(program, *arguments):
    done = subprocess.run([program, *arguments, "--json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def keys(path):
    with safe_open(path, "pt") as file:
        return set(file.keys())


def compare(label, folder, path, given, expected, limit):
    """Loads a LoRA file into a fresh model and compares its answers; every module must have arrived."""
    heard = Complaints()
    logger = diffusers_logging.get_logger("diffusers")
    logger.addHandler(heard)
    networks = load(folder)
    pipeline(folder, networks).load_lora_weights(os.path.dirname(path), weight_name=os.path.basename(path))
    logger.removeHandler(heard)
    complaints = [message for message in heard.messages if "keys" in message.lower()]
    arrived = sum(
        isinstance(module, BaseTunerLayer) and bool(module.lora_A)
        for network in networks.values()
        for module in network.modules()
    )
    stored = sum(key.endswith((".lora_down.weight", ".lora_A.weight")) for key in keys(path))
    require(arrived == stored and not complaints, f"{label}: {arrived} of {stored} modules arrived, {len(complaints)} complaints about keys")
    for what, found in answers(networks, given).items():
        report(f"{label}: {what}", deviation(found, expected[what]), limit)


def check_extracted(program, golden, model, folder):
    print(f"{model}: the difference of two models")
    base, tuned = os.path.join(golden, model), os.path.join(folder, "tuned")
    count = tune(base, tuned)
    kohya, peft, merged = (os.path.join(folder, name) for name in ("kohya.safetensors", "peft.safetensors", "merged"))
    told = lora(program, "extract", base, tuned, "-o", kohya, "--rank", "4", "--conv-rank", "4", "--dtype", "f32")
    require(told["modules"] == count, f"extracted modules: {told['modules']} of {count} changed layers")
    lora(program, "convert", kohya, peft, "--to", "peft")
    given = inputs(1)
    expected, before = answers(load(tuned), given), answers(load(base), given)
    effect = deviation(before["UNet"], expected["UNet"])
    require(effect > 0.05, f"the difference changes the UNet's answer by {effect:.2f} of its largest value")
    for label, path in (("kohya", kohya), ("PEFT", peft)):
        compare(label, base, path, given, expected, LIMIT)

    # Merged into the model in f32, so that nothing is rounded to f16.
    in_f32 = os.path.join(folder, "base")
    shutil.copytree(base, in_f32)
    for component, network in load(base).items():
        save(network, in_f32, component)
    lora(program, "merge", "--into", in_f32, kohya, "-o", merged)
    largest = 0.0
    for component, network in load(merged).items():
        wanted = load_file(weights(tuned, component))
        for key, value in network.state_dict().items():
            largest = max(largest, (value - wanted[key]).abs().max().item())
    report("merged: largest difference of a weight", largest, WEIGHT_LIMIT)

    # diffusers has ways of its own with ranks that differ; the merged model says what is meant.
    small, small_peft, merged = (os.path.join(folder, name) for name in ("small.safetensors", "small-peft.safetensors", "merged-small"))
    told = lora(program, "resize", kohya, small, "--energy", "0.8")
    ranks = sorted({module["to"] for module in told["modules_resized"].values()})
    require(len(ranks) > 1, f"ranks by energy: {ranks}")
    lora(program, "convert", small, small_peft, "--to", "peft")
    lora(program, "merge", "--into", in_f32, small, "-o", merged)
    expected = answers(load(merged), given)
    for label, path in (("ranks by energy, kohya", small), ("ranks by energy, PEFT", small_peft)):
        compare(label, base, path, given, expected, LIMIT)


def check_golden(program, golden, lora_of, folder):
    model, kind = lora_of
    print(f"{model}-{kind}: the file that sd-scripts wrote")
    original = os.path.join(golden, "lora", f"{model}-{kind}.safetensors")
    reference = load_file(os.path.join(golden, "lora", f"{model}-{kind}-outputs.safetensors"))
    given = {"ids": [reference["input_ids"], reference.get("input_ids_2")], "latents": reference["latents"]}
    given |= {"timesteps": reference["timesteps"], "time_ids": reference.get("time_ids")}
    given["ids"] = [ids if ids is None else ids.long() for ids in given["ids"]]
    names = {"text states": "context", "pooled": "text2.pooled", "UNet": "unet.out"}
    expected = {what: reference[f"mult1.0.{name}"] for what, name in names.items() if f"mult1.0.{name}" in reference}
    peft, kohya = os.path.join(folder, "peft.safetensors"), os.path.join(folder, "kohya.safetensors")
    lora(program, "convert", original, peft, "--to", "peft")
    lora(program, "convert", original, kohya, "--portable-alphas")
    for label, path in (("PEFT", peft), ("kohya", kohya)):
        compare(label, os.path.join(golden, model), path, given, expected, LIMIT)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the `lora` program")
    parser.add_argument("golden", help="the folder testdata/golden")
    arguments = parser.parse_args()
    for check, models in ((check_extracted, MODELS), (check_golden, LORAS)):
        for model in models:
            with tempfile.TemporaryDirectory() as folder:
                check(arguments.program, arguments.golden, model, folder)
    print("all equal" if not failures else f"FAILED: {len(failures)} checks")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
