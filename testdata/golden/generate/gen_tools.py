"""Reference numbers for the tools over LoRA files (resize, merge of several, norms), made with torch.linalg in F64.

python generate/gen_tools.py .        (argument: the folder of the golden data)

Everything is computed from the LoRA files of this folder, and from matrices that `matrix()` defines by a formula, so
only results are stored: singular values, and what is unique in a product of truncated factors (the product itself, or
its effect on a vector).
"""
import json
import os
import sys

import safetensors.torch
import torch

torch.set_default_dtype(torch.float64)
MODULES = ["lora_te_text_model_encoder_layers_0_mlp_fc1", "lora_unet_down_blocks_0_attentions_0_proj_in",
           "lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_2", "lora_unet_down_blocks_0_resnets_0_conv1"]


def matrix(rows, columns, decay):
    """Numbers without a pattern, whose singular values fall: each row and column is scaled down with its number."""
    i, j = torch.arange(rows).unsqueeze(1), torch.arange(columns).unsqueeze(0)
    noise = ((i * i * 31 + j * j * 17 + i * j * 7 + i + 3 * j) % 1009) / 504.5 - 1
    return (noise * decay ** i * decay ** j).float().double()


def delta(sd, module):
    down, up = sd[f"{module}.lora_down.weight"].double(), sd[f"{module}.lora_up.weight"].double()
    return float(sd[f"{module}.alpha"]) / down.shape[0] * up.flatten(1) @ down.flatten(1)


def truncated(a, rank):
    u, s, v = torch.linalg.svd(a, full_matrices=False)
    return u[:, :rank] * s[:rank] @ v[:rank]


def times_cos(a):
    return a @ torch.cos(torch.arange(a.shape[1]).double())


def main(d):
    read = lambda name: safetensors.torch.load_file(os.path.join(d, "lora", name))
    lora, locon = read("tiny-sd15-lora.safetensors"), read("tiny-sd15-locon.safetensors")
    out = {}
    for module in (k[:-6] for k in locon if k.endswith(".alpha")):
        out[f"singular_values.{module}"] = torch.linalg.svdvals(delta(locon, module))[:4]
    for module in MODULES:
        out[f"rank2_times_cos.{module}"] = times_cos(truncated(delta(locon, module), 2))
        other = delta(lora, module) if f"{module}.alpha" in lora else 0
        out[f"sum_times_cos.{module}"] = times_cos(-0.5 * delta(locon, module) + 0.75 * other)
    for name, shape in (("tall", (520, 260)), ("wide", (260, 640))):
        a = matrix(*shape, 0.985)
        out[f"{name}.singular_values"] = torch.linalg.svdvals(a)[:16]
        out[f"{name}.rank16_times_cos"] = times_cos(truncated(a, 16))
        out[f"{name}.left_of_rank16"] = torch.linalg.norm(a - truncated(a, 16)).reshape(1)
    # How many singular values each rule keeps, by its definition.
    s = torch.linalg.svdvals(matrix(260, 640, 0.985))
    rules = {
        "ratio": {str(r): int((s > s[0] / r).sum()) for r in (2, 5, 20)},
        "frobenius": {str(p): int((s.square().cumsum(0) / s.square().sum() < p * p).sum()) + 1 for p in (0.5, 0.9, 0.99)},
        "energy": {str(p): int((s.square().cumsum(0) / s.square().sum() < p).sum()) + 1 for p in (0.5, 0.9, 0.99)},
        "cumulative": {str(p): int((s.cumsum(0) / s.sum() < p).sum()) + 1 for p in (0.5, 0.9, 0.99)},
    }
    out["rules.singular_values"] = s
    path = os.path.join(d, "lora", "tools.safetensors")
    safetensors.torch.save_file({k: v.float().contiguous() for k, v in out.items()}, path, {"rules": json.dumps(rules), "torch": torch.__version__})
    os.chmod(path, 0o644)
    print(path, os.path.getsize(path), rules)


if __name__ == "__main__":
    main(sys.argv[1])
