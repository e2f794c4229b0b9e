"""Records what LyCORIS makes of LoHa, LoKr and DoRA: single layers with their gradients, and files for the tiny SD 1.5 model.

    pip install torch==2.11.0 diffusers==0.32.1 transformers==4.54.1 safetensors==0.8.0 lycoris-lora==4.1.3
    python generate.py ../golden .

`layers.safetensors` holds, for each case, the frozen layer, the adapter's tensors by the names they have in files, an input,
the output, the weight with the adapter merged in, and the gradients of `sum(output * direction)`.
`tiny-sd15-<algorithm>.safetensors` are files as LyCORIS writes them for sd-scripts, `tiny-sd15-outputs.safetensors` what
the model gives with them, on the inputs of the golden LoRA outputs.
"""
import sys
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from lycoris import kohya
from lycoris.config import PRESET
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

# The UNet's blocks without what lies before and behind them, which sd-scripts does not adapt.
PRESET["blocks"] = PRESET["full"] | {"unet_target_name": []}
golden, out = Path(sys.argv[1]), Path(sys.argv[2])
torch.manual_seed(5)
LINEAR = lambda: torch.nn.Linear(24, 12)
CONV = lambda: torch.nn.Conv2d(6, 8, 3, padding=1)
STRIDED = lambda: torch.nn.Conv2d(6, 8, 3, stride=2, padding=1)
POINT = lambda: torch.nn.Conv2d(6, 8, 1)
LAYERS = {"linear": LINEAR, "conv": CONV, "strided": STRIDED, "point": POINT}
CASES = {
    "lora": (LoConModule, dict(lora_dim=3, alpha=2)),
    "dora": (LoConModule, dict(lora_dim=3, alpha=2, weight_decompose=True)),
    "dora_in": (LoConModule, dict(lora_dim=3, alpha=2, weight_decompose=True, wd_on_out=False)),
    "loha": (LohaModule, dict(lora_dim=2, alpha=1)),
    # So wide that the product of the factors is cheaper than LoRA factors of the squared rank.
    "loha_wide": (LohaModule, dict(lora_dim=5, alpha=5)),
    "loha_dora": (LohaModule, dict(lora_dim=2, alpha=1, weight_decompose=True)),
    "lokr": (LokrModule, dict(lora_dim=1, alpha=0.5)),
    "lokr_full": (LokrModule, dict(lora_dim=100, alpha=100)),
    "lokr_both": (LokrModule, dict(lora_dim=1, alpha=2, decompose_both=True)),
    "lokr_factor": (LokrModule, dict(lora_dim=1, alpha=1, factor=2)),
    "lokr_dora": (LokrModule, dict(lora_dim=1, alpha=0.5, weight_decompose=True)),
}


def randomise(module):
    for name, parameter in module.named_parameters():
        if name == "dora_scale":
            parameter.data.mul_(1 + 0.3 * torch.rand_like(parameter))
        else:
            parameter.data.normal_(std=0.5)


def layers():
    data = {}
    for layer_name, make in LAYERS.items():
        for case, (kind, arguments) in CASES.items():
            torch.manual_seed(len(data))
            layer = make().requires_grad_(False)
            module = kind("m", layer, 1.0, **arguments)
            randomise(module)
            module.train()
            x = torch.randn(2, 3, 24) if layer_name == "linear" else torch.randn(2, 6, 5, 4)
            module.apply_to()
            x.requires_grad_(True)
            y = layer(x)
            direction = torch.randn_like(y)
            (y * direction).sum().backward()
            base = module._current_weight() if hasattr(module, "_current_weight") else layer.weight
            change = module.make_weight() * module.scale if kind is LoConModule else module.get_weight(module.shape)
            merged = module.apply_weight_decompose(base + change) if module.wd else base + change
            key = f"{layer_name}.{case}"
            data |= {f"{key}.base.weight": base, f"{key}.base.bias": layer.bias, f"{key}.x": x.detach(), f"{key}.y": y,
                     f"{key}.direction": direction, f"{key}.grad.x": x.grad, f"{key}.merged": merged}
            for name, tensor in module.custom_state_dict().items():
                data[f"{key}.file.{name}"] = tensor
            for name, parameter in module.named_parameters():
                data[f"{key}.grad.{name}"] = parameter.grad
        # What is left of a weight without its three principal components: where PiSSA starts.
        matrix = data[f"{layer_name}.lora.base.weight"].detach().flatten(1).double()
        u, s, v = torch.linalg.svd(matrix, full_matrices=False)
        data[f"{layer_name}.residual"] = matrix - u[:, :3] * s[:3] @ v[:3]
    save_file({name: tensor.detach().float().contiguous() for name, tensor in data.items()}, out / "layers.safetensors")


def networks():
    given = load_file(golden / "lora/tiny-sd15-lora-outputs.safetensors")
    data = {}
    for case, arguments in {
        "loha": dict(algo="loha"),
        "lokr": dict(algo="lokr", factor="4"),
        "dora": dict(algo="locon", dora_wd="True"),
    }.items():
        torch.manual_seed(11)
        unet = UNet2DConditionModel.from_pretrained(golden / "tiny-sd15/unet", torch_dtype=torch.float32).requires_grad_(False)
        text = CLIPTextModel.from_pretrained(golden / "tiny-sd15/text_encoder", torch_dtype=torch.float32).requires_grad_(False)
        network = kohya.create_network(1.0, 2, 1.0, None, text, unet, conv_dim=1, conv_alpha=1, preset="blocks", **arguments)
        network.apply_to(text, unet, True, True)
        for module in network.text_encoder_loras + network.unet_loras:
            randomise(module)
            for name, parameter in module.named_parameters():
                # As they come out of an F16 file.
                parameter.data = parameter.data.mul(0.4 if name != "dora_scale" else 1).half().float()
        network.eval()
        states = text(given["input_ids"]).last_hidden_state if given["input_ids"].dim() == 2 else None
        data[f"{case}.context"] = states
        data[f"{case}.unet.out"] = unet(given["latents"], given["timesteps"], states).sample
        file = {}
        for module in network.text_encoder_loras + network.unet_loras:
            for name, tensor in module.custom_state_dict().items():
                file[f"{module.lora_name}.{name}"] = tensor.detach().half().contiguous()
        metadata = {"ss_network_module": "lycoris.kohya", "ss_base_model_version": "sd_v1"}
        save_file(file, out / f"tiny-sd15-{case}.safetensors", metadata)
    save_file({name: tensor.detach().contiguous() for name, tensor in data.items()}, out / "tiny-sd15-outputs.safetensors")


with torch.enable_grad():
    layers()
with torch.no_grad():
    networks()
