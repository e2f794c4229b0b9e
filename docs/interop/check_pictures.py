#!/usr/bin/env python3
"""Draws with diffusers what an example program of ours drew, and compares the pictures and the states of weighted prompts.

Our side is written by an example program:

    cargo run --release -p lora-train --example draw_pictures -- BASE FOLDER
    python docs/interop/check_pictures.py BASE FOLDER

BASE is a diffusers folder. A tokenizer folder without a vocabulary gets that of the quick start's model. With --record,
diffusers' pictures are written to another folder, where the tests look for them. Needs torch, diffusers, transformers,
ftfy and safetensors; see README.md for the versions of the recorded output. Ends with exit code 1 when anything is off.
"""

import argparse
import json
import os
import tempfile

import numpy
import torch
from diffusers import (
    DDIMScheduler,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UniPCMultistepScheduler,
)
from PIL import Image
from transformers import CLIPTokenizer

VOCABULARY = os.path.join(os.path.dirname(__file__), "../../assets/mini/base/tokenizer")
SAMPLERS = {
    "ddim": (DDIMScheduler, {}),
    "euler": (EulerDiscreteScheduler, {}),
    "euler-karras": (EulerDiscreteScheduler, {"use_karras_sigmas": True}),
    "dpmpp-2m": (DPMSolverMultistepScheduler, {}),
    "dpmpp-2m-karras": (DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    "unipc": (UniPCMultistepScheduler, {}),
}
# Pictures that the tests compare with, too.
RECORDED = ("ddim", "ddim-no-negative", "euler", "dpmpp-2m-karras")
# Of 255: where a value lies between two grey levels, rounding in f32 decides.
GREY_LEVELS = 1
# The largest difference over the largest value. Rounding alone makes about 4e-6 of a text encoder's answer; emphasis
# divides by a mean near zero, which magnifies it.
TEXT_LIMIT = 2e-5
COMMA_BACKTRACK = 20

failures = []


def require(holds, what):
    print(f"  {what}{'' if holds else '  FAILED'}")
    if not holds:
        failures.append(what)


def tokenizer(folder):
    """CLIPTokenizer of a folder which may hold its settings only."""
    if os.path.isfile(os.path.join(folder, "vocab.json")):
        return CLIPTokenizer.from_pretrained(folder)
    with tempfile.TemporaryDirectory() as whole:
        for source in (VOCABULARY, folder):
            for name in os.listdir(source):
                with open(os.path.join(source, name), "rb") as old, open(os.path.join(whole, name), "wb") as new:
                    new.write(old.read())
        return CLIPTokenizer.from_pretrained(whole)


def tensor(array):
    return torch.tensor(array["values"]).view(array["shape"])


def compare_pictures(pipe, dump, folder, record):
    config = pipe.scheduler.config
    for name, prompt in dump["pictures"].items():
        kind, options = SAMPLERS[prompt["sampler"]]
        pipe.scheduler = kind.from_config(config, **options)
        theirs = pipe(
            prompt=prompt["text"],
            # None and "" differ for SDXL: without a negative prompt it is told zeros.
            negative_prompt=prompt["negative"] or None,
            num_inference_steps=prompt["steps"],
            guidance_scale=prompt["guidance"],
            width=dump["size"][0],
            height=dump["size"][1],
            latents=tensor(dump["noise"]),
        ).images[0]
        ours = Image.open(os.path.join(folder, f"{name}.png"))
        levels = numpy.abs(numpy.asarray(ours, dtype=int) - numpy.asarray(theirs, dtype=int))
        share = (levels > 0).mean()
        require(levels.max() <= GREY_LEVELS, f"{name:<18} {share:7.2%} of the bytes differ, by at most {levels.max()} of 255")
        if record and name in RECORDED:
            theirs.save(os.path.join(record, f"{name}.png"), optimize=True)


def weighted_rows(tokenizer, segments):
    """Rows of 75 tokens with weights: a full one ends after its last comma if that is near, and at every break."""
    rows, ids, weights = [], [], []
    comma = tokenizer.convert_tokens_to_ids(",</w>")
    for text, weight in segments:
        if text is None:
            rows.append((ids, weights))
            ids, weights = [], []
            continue
        for token in tokenizer(text, add_special_tokens=False).input_ids:
            if len(ids) == 75:
                commas = [place for place, token_there in enumerate(ids) if token_there == comma]
                cut = 75
                if token != comma and commas and 75 - commas[-1] <= COMMA_BACKTRACK:
                    cut = commas[-1] + 1
                rows.append((ids[:cut], weights[:cut]))
                ids, weights = ids[cut:], weights[cut:]
            ids.append(token)
            weights.append(weight)
    if ids or not rows:
        rows.append((ids, weights))
    return rows


def weighted_states(tokenizer, encoder, segments, two_towers):
    """Each row by itself; every state times its weight; the mean of the row restored; the rows in line."""
    states, pooled = [], None
    for ids, weights in weighted_rows(tokenizer, segments):
        padding = [tokenizer.pad_token_id] * (75 - len(ids))
        row = torch.tensor([[tokenizer.bos_token_id, *ids, tokenizer.eos_token_id, *padding]])
        out = encoder(row, output_hidden_states=True)
        plain = out.hidden_states[-2] if two_towers else out.last_hidden_state
        if pooled is None:
            pooled = out[0]
        factors = torch.ones(77)
        factors[1 : 1 + len(weights)] = torch.tensor(weights)
        weighted = plain * factors[None, :, None]
        states.append(weighted * (plain.mean() / weighted.mean()))
    return torch.cat(states, 1), pooled


def compare_texts(pipe, dump):
    towers = [(pipe.tokenizer, pipe.text_encoder)]
    if hasattr(pipe, "text_encoder_2"):
        towers.append((pipe.tokenizer_2, pipe.text_encoder_2))
    for text in dump["texts"]:
        answers = [weighted_states(*tower, text["segments"], len(towers) == 2) for tower in towers]
        theirs = torch.cat([states for states, _ in answers], -1)
        pairs = [("states", text["states"], theirs)]
        if len(towers) == 2:
            pairs.append(("pooled", text["pooled"], answers[-1][1]))
        for what, ours, theirs in pairs:
            ours = tensor(ours)
            same = ours.shape == theirs.shape
            value = ((ours - theirs).abs().max() / theirs.abs().max()).item() if same else float("inf")
            short = text["prompt"] if len(text["prompt"]) < 40 else text["prompt"][:37] + "..."
            require(value <= TEXT_LIMIT, f"{what} {tuple(ours.shape)} of `{short}`: {value:.2e}  (limit {TEXT_LIMIT:.0e})")


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("folder")
    parser.add_argument("--record", metavar="FOLDER")
    arguments = parser.parse_args()
    with open(os.path.join(arguments.folder, "pictures.json")) as file:
        dump = json.load(file)
    parts = {"tokenizer": tokenizer(os.path.join(arguments.base, "tokenizer"))}
    second = os.path.join(arguments.base, "tokenizer_2")
    if os.path.isdir(second):
        parts["tokenizer_2"] = tokenizer(second)
    pipe = DiffusionPipeline.from_pretrained(arguments.base, torch_dtype=torch.float32, **parts)
    pipe.set_progress_bar_config(disable=True)
    if arguments.record:
        os.makedirs(arguments.record, exist_ok=True)

    print(f"pictures of {dump['size'][0]} x {dump['size'][1]}, {type(pipe).__name__}")
    compare_pictures(pipe, dump, arguments.folder, arguments.record)
    print("states of weighted prompts")
    compare_texts(pipe, dump)
    print("all equal" if not failures else f"FAILED: {', '.join(failures)}")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
