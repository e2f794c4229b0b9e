#!/usr/bin/env python3
"""How far half precision moves the first LoRA gradients of the tiny models in PyTorch, to set our own figures beside.

    python docs/interop/check_precision.py          # needs torch, diffusers, transformers

The model, the batch and rank of the reference runs (testdata/golden/train), fresh LoRA matrices of a fixed seed. In f32; with the base's
weights in half precision and autocast (what sd-scripts does with --mixed_precision); and computing in half precision altogether,
LoRA in f32 and cast. Prints, for each, how far loss and gradient are from f32: the length of the difference over the gradient's.
"""
import json, math, os, struct, sys

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

GOLDEN = os.path.join(os.path.dirname(__file__), "../../testdata/golden")


class LoRA(torch.nn.Module):
    def __init__(self, base, rank, alpha, generator):
        super().__init__()
        self.base, self.scale = base, alpha / rank
        inputs = base.weight[0].numel()
        self.down = torch.nn.Parameter((torch.rand(rank, inputs, generator=generator) * 2 - 1) / math.sqrt(inputs))
        self.up = torch.nn.Parameter(torch.zeros(base.weight.shape[0], rank))

    def forward(self, x):
        down, up = self.down.to(x.dtype), self.up.to(x.dtype)
        if isinstance(self.base, torch.nn.Conv2d):
            hidden = torch.nn.functional.conv2d(x, down[:, :, None, None])
            return self.base(x) + torch.nn.functional.conv2d(hidden, up[:, :, None, None]) * self.scale
        return self.base(x) + torch.nn.functional.linear(torch.nn.functional.linear(x, down), up) * self.scale


def adapt(network, parents, rank, alpha, generator):
    found = []
    for _, module in list(network.named_modules()):
        if module.__class__.__name__ not in parents:
            continue
        for _, inner in list(module.named_modules()):
            for name, child in list(inner.named_children()):
                pointwise = isinstance(child, torch.nn.Conv2d) and child.kernel_size == (1, 1)
                if isinstance(child, torch.nn.Linear) or pointwise:
                    lora = LoRA(child, rank, alpha, generator)
                    setattr(inner, name, lora)
                    found += [lora.down, lora.up]
    return found


def step(name, weights, autocast):
    profile = json.load(open(os.path.join(GOLDEN, "profile.json")))
    train, model = profile["train"], profile["models"][name]
    folder, generator = os.path.join(GOLDEN, name), torch.Generator().manual_seed(1)
    kinds = [CLIPTextModel, CLIPTextModelWithProjection]
    encoders = [kind.from_pretrained(os.path.join(folder, sub), torch_dtype=torch.float32).eval()
                for kind, sub in zip(kinds, ["text_encoder", "text_encoder_2"]) if os.path.isdir(os.path.join(folder, sub))]
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=torch.float32, low_cpu_mem_usage=False).eval()
    for network in [unet, *encoders]:
        network.requires_grad_(False).to(weights)
    leaves = []
    for encoder in encoders:
        leaves += adapt(encoder, ["CLIPSdpaAttention", "CLIPAttention", "CLIPMLP"], train["network_dim"], train["network_alpha"], generator)
    leaves += adapt(unet, ["Transformer2DModel"], train["network_dim"], train["network_alpha"], generator)
    g = load_file(os.path.join(GOLDEN, f"train/{name}-inputs.safetensors"))
    ix, t = g["index"][0].long(), g["timesteps"][0].long()
    latents = (g["vae_mean"][ix] + g["vae_std"][ix] * g["vae_eps"][0].float()) * model["vae"]["scaling_factor"]
    noise = g["noise"][0].float()
    ddpm = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000)
    noisy = ddpm.add_noise(latents, noise, t).to(weights)
    with torch.autocast("cpu", dtype=weights, enabled=autocast):
        kw = {}
        if len(encoders) == 2:
            first = encoders[0](g["input_ids"][ix].long(), output_hidden_states=True).hidden_states[-2]
            second = encoders[1](g["input_ids_2"][ix].long(), output_hidden_states=True)
            context = torch.cat([first, second.hidden_states[-2]], 2)
            sizes = torch.cat([g["original_size_hw"][ix], g["crop_top_left"][ix], g["target_size_hw"][ix]], 1)
            kw["added_cond_kwargs"] = {"text_embeds": second.text_embeds, "time_ids": sizes}
        else:
            context = encoders[0](g["input_ids"][ix].long()).last_hidden_state
        prediction = unet(noisy, t, context, **kw).sample
    loss = torch.nn.functional.mse_loss(prediction.float(), noise)
    scale = float(noise.numel()) if weights == torch.float16 else 1.0
    (loss * scale).backward()
    gradient = torch.cat([leaf.grad.flatten() / scale for leaf in leaves if leaf.grad is not None])
    return loss.item(), gradient


def main():
    torch.manual_seed(0)
    for name in ["tiny-sd15", "tiny-sdxl"]:
        loss, gradient = step(name, torch.float32, False)
        for what, weights, autocast in [("bf16, autocast", torch.bfloat16, True), ("bf16", torch.bfloat16, False), ("f16", torch.float16, False)]:
            try:
                half_loss, half = step(name, weights, autocast)
            except RuntimeError as error:
                print(f"| {name} | {what} | {str(error).splitlines()[0]} |", file=sys.stderr)
                continue
            print(f"| {name} | {what} | {abs(half_loss / loss - 1):.1e} | {(half - gradient).norm() / gradient.norm():.1e} |")


if __name__ == "__main__":
    main()
