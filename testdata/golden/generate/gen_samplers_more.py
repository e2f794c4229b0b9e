"""Samplers that gen_sched.py leaves out, with the same "network" and the same noise: DPM++ 2M SDE, UniPC, trailing and
linspace spacing, zero terminal SNR. Needs diffusers only: python gen_samplers_more.py <golden folder>"""
import json
import os
import sys

import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler, UniPCMultistepScheduler
from safetensors.torch import load_file, save_file

NOISE = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000)
LEADING = dict(steps_offset=1, timestep_spacing="leading")
SDE = dict(algorithm_type="sde-dpmsolver++", use_karras_sigmas=True)
ZERO_SNR = dict(prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing")
CASES = {
    "dpmpp_2m_sde_karras_10": (DPMSolverMultistepScheduler(**NOISE, **LEADING, **SDE), 10),
    "dpmpp_2m_sde_karras_10_v": (DPMSolverMultistepScheduler(**NOISE, **LEADING, **SDE, prediction_type="v_prediction"), 10),
    "dpmpp_2m_10_linspace": (DPMSolverMultistepScheduler(**NOISE), 10),
    "dpmpp_2m_10_zsnr_trailing_v": (DPMSolverMultistepScheduler(**NOISE, **ZERO_SNR), 10),
    "euler_10_trailing_v": (EulerDiscreteScheduler(**NOISE, timestep_spacing="trailing", prediction_type="v_prediction"), 10),
    "unipc_10": (UniPCMultistepScheduler(**NOISE, **LEADING), 10),
    "unipc_20_v": (UniPCMultistepScheduler(**NOISE, **LEADING, prediction_type="v_prediction"), 20),
    "unipc_10_linspace": (UniPCMultistepScheduler(**NOISE), 10),
}


def walk(scheduler, steps, start, bias):
    scheduler.set_timesteps(steps)
    latents = start * scheduler.init_noise_sigma
    sequence, noises = [latents], []
    generator = torch.Generator().manual_seed(steps)
    for timestep in scheduler.timesteps:
        given = {}
        if scheduler.config.get("algorithm_type") == "sde-dpmsolver++":
            noises.append(torch.randn(latents.shape, generator=generator))
            given = {"variance_noise": noises[-1]}
        output = 0.3 * scheduler.scale_model_input(latents, timestep) + bias
        latents = scheduler.step(output, timestep, latents, **given).prev_sample
        sequence.append(latents)
    found = {"latents": torch.cat(sequence), "timesteps": torch.as_tensor(scheduler.timesteps).float(), "sigmas": scheduler.sigmas.float()}
    if noises:
        found["noises"] = torch.cat(noises)
    return found


def main():
    folder = os.path.join(sys.argv[1], "schedules")
    golden = load_file(os.path.join(folder, "samplers.safetensors"))
    tensors, cases = {}, {}
    for name, (scheduler, steps) in CASES.items():
        for key, value in walk(scheduler, steps, golden["start_noise"], golden["b"]).items():
            tensors[f"{name}.{key}"] = value.contiguous()
        cases[name] = {"class": type(scheduler).__name__, "steps": steps, "init_noise_sigma": float(scheduler.init_noise_sigma)}
    save_file(tensors, os.path.join(folder, "samplers_more.safetensors"))
    with open(os.path.join(folder, "samplers_more.json"), "w") as file:
        json.dump({"model": "as in samplers.json", "cases": cases}, file, indent=1)


if __name__ == "__main__":
    main()
