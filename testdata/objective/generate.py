"""Records what PyTorch and kohya's sd-scripts make of the objective's settings, on the golden tiny models.

    pip install torch==2.11.0 diffusers==0.32.1 numpy safetensors
    python generate.py SD_SCRIPTS          # writes objective.safetensors and objective.json beside this file

SD_SCRIPTS is a checkout of kohya-ss/sd-scripts (made with commit 48d368fa). Its functions are taken out of their source and
run; what they draw at random is handed to them and recorded. Each picture goes through them alone, as a batch of one: there
a strength, a pyramid's factors and its standard deviation are drawn or taken for the whole batch, here for each picture.
What sd-scripts lacks (soft min-SNR, P2, tables, logit-normal timesteps) is written in PyTorch or numpy below.
"""
import ast, json, math, sys, types
from pathlib import Path
import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from safetensors.torch import save_file

HERE = Path(__file__).parent
GOLDEN = HERE / "../golden"
TIMESTEPS = [3, 417, 888, 999]
BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000, clip_sample=False)


class Given:
    """Stands in for torch and random: draws come from `queue`, everything else from torch."""

    def __init__(self):
        self.queue = []

    def __getattr__(self, name):
        return getattr(torch, name)

    def draw(self, *_, **__):
        return self.queue.pop(0).clone()

    randn = randn_like = rand = randint = draw

    def random(self):
        return self.queue.pop(0)


given = Given()


def functions(path, wanted, names):
    text = (Path(sys.argv[1]) / path).read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if getattr(node, "name", None) in wanted:
            exec("from __future__ import annotations\n" + ast.get_source_segment(text, node), names)
    return types.SimpleNamespace(**{name: names[name] for name in wanted})


logger = types.SimpleNamespace(info=lambda *_: None)
ctf = functions("library/custom_train_functions.py", [
    "prepare_scheduler_for_custom_training", "fix_noise_scheduler_betas_for_zero_terminal_snr", "apply_snr_weight",
    "get_snr_scale", "scale_v_prediction_loss_like_noise_prediction", "add_v_prediction_like_loss",
    "apply_debiased_estimation", "pyramid_noise_like", "apply_noise_offset", "apply_masked_loss",
], {"torch": given, "random": given, "logger": logger})
tu = functions("library/train_util.py", [
    "get_timesteps", "get_noise_noisy_latents_and_timesteps", "get_huber_threshold_if_needed", "conditional_loss",
], {"torch": given, "math": math, "custom_train_functions": ctf})

generator = torch.Generator().manual_seed(20)
# Numbers of few bits, so that the file stays small when it is packed.
randn = lambda *shape: torch.randn(shape, generator=generator).half().float()
uniform = lambda *shape: torch.rand(shape, generator=generator).half().float()
COUNT, SIDE = len(TIMESTEPS), 8
SHAPE = (COUNT, 4, SIDE, SIDE)
data = {
    "latents": randn(*SHAPE) + 0.25, "noise": randn(*SHAPE), "noise_offset": randn(COUNT, 4, 1, 1),
    "offset_strength": uniform(COUNT), "perturbation": randn(*SHAPE), "perturbation_strength": uniform(COUNT),
    "mask_pixels": (uniform(COUNT, 64, 64) * 4).round().clamp(max=3) / 3, "loss_weights": torch.tensor([1.0, 0.25, 1.0, 0.5]),
    "timesteps": torch.tensor(TIMESTEPS, dtype=torch.int32),
}
# A whole picture that does not count, so that no gradient may come from it.
data["mask_pixels"][1] = 0
ITERATIONS, DISCOUNT = 6, 0.3
factors = [[float(number) for number in uniform(ITERATIONS)] for _ in range(COUNT)]


def pyramid_draws(height, width, factors):
    """The sizes that `pyramid_noise_like` will ask for, and a draw for each."""
    draws = []
    for i, factor in enumerate(factors):
        r = factor * 2 + 2
        h, w = max(1, int(height / r**i)), max(1, int(width / r**i))
        draws.append(randn(1, 4, h, w))
        if h == 1 or w == 1:
            break
    return draws


def interleaved(factors, draws):
    return [part for pair in zip(factors, draws) for part in pair]


def pyramid_sum(height, width, factors, draws, discount):
    given.queue = interleaved(factors, draws)
    total = torch.zeros(1, 4, height, width)
    ctf.pyramid_noise_like(total, "cpu", len(factors), discount)
    return total


levels = [pyramid_draws(SIDE, SIDE, f) for f in factors]
data["pyramid"] = torch.cat([pyramid_sum(SIDE, SIDE, f, d, DISCOUNT) for f, d in zip(factors, levels)])
# The pyramid by itself, at a size that is no square.
long_factors = [float(number) for number in uniform(ITERATIONS)]
long_draws = pyramid_draws(24, 15, long_factors)
data["pyramid.long.sum"] = pyramid_sum(24, 15, long_factors, long_draws, 0.4)
for i, draw in enumerate(long_draws):
    data[f"pyramid.long.level{i}"] = draw
# Masks at a scale that is no whole number.
data["area.pixels"] = uniform(1, 1, 21, 34)
data["area.means"] = torch.nn.functional.interpolate(data["area.pixels"], size=(4, 5), mode="area")

TABLE = [[0.01, 2.0], [1.0, 1.0], [30.0, 0.125]]
STEPS = [[100.0, 0.5], [600.0, 1.5], [900.0, 0.25]]


def scheduler(zero):
    made = DDPMScheduler(**BETAS)
    if zero:
        ctf.fix_noise_scheduler_betas_for_zero_terminal_snr(made)
    ctf.prepare_scheduler_for_custom_training(made, "cpu")
    return made


def own_weight(name, timesteps, snr, velocity, s):
    """Weights that sd-scripts has not. A weight of the noise's error weighs the velocity's times SNR / (SNR + 1)."""
    as_predicted = snr / (snr + 1) if velocity else torch.ones_like(snr)
    if "soft_min_snr_gamma" in s:
        # Crowson et al. 2024: 1 / (sigma^2 + 1 / gamma) on the picture's error, which is the noise's times 1 / SNR.
        return 1 / (1 / snr + 1 / s["soft_min_snr_gamma"]) / snr * as_predicted
    if "p2_gamma" in s:
        return 1 / (s.get("p2_k", 1.0) + snr) ** s["p2_gamma"] * as_predicted
    if "weight_table" in s:
        places, weights = np.array(s["weight_table"]["points"]).T
        if s["weight_table"]["by"] == "snr":
            return torch.tensor(np.interp(np.log(snr.double().numpy()), np.log(places), weights))
        return torch.tensor(np.interp(timesteps.double().numpy(), places, weights))
    return torch.ones_like(snr)


def weighed(loss, timesteps, noise_scheduler, velocity, s):
    """`post_process_loss` of train_network.py."""
    if "min_snr_gamma" in s:
        loss = ctf.apply_snr_weight(loss, timesteps, noise_scheduler, s["min_snr_gamma"], velocity)
    if "scale_v_pred_loss_like_noise_pred" in s:
        loss = ctf.scale_v_prediction_loss_like_noise_prediction(loss, timesteps, noise_scheduler)
    if "v_pred_like_loss" in s:
        loss = ctf.add_v_prediction_like_loss(loss, timesteps, noise_scheduler, s["v_pred_like_loss"])
    if "debiased_estimation" in s:
        loss = ctf.apply_debiased_estimation(loss, timesteps, noise_scheduler, velocity)
    return loss * own_weight("", timesteps, noise_scheduler.all_snr[timesteps], velocity, s)


class Base:
    def __init__(self, name, velocity, zero):
        self.velocity, self.scheduler = velocity, scheduler(zero)
        unet = UNet2DConditionModel.from_pretrained(GOLDEN / name, subfolder="unet", torch_dtype=torch.float32, low_cpu_mem_usage=False)
        self.unet = unet.eval().requires_grad_(False)
        self.context = randn(COUNT, 5, unet.config.cross_attention_dim)


BASES = {
    "tiny-sd15": Base("tiny-sd15", False, False),
    "tiny-sd21": Base("tiny-sd21", True, False),
    "tiny-sd21-zero": Base("tiny-sd21", True, True),
}
for name in ("tiny-sd15", "tiny-sd21"):
    data[f"{name}.context"] = BASES[name].context
BASES["tiny-sd21-zero"].context = BASES["tiny-sd21"].context


def loss_of(case):
    s, base = case["settings"], BASES[case["base"]]
    args = types.SimpleNamespace(
        noise_offset=s.get("noise_offset"), noise_offset_random_strength=s.get("noise_offset_random_strength", False),
        adaptive_noise_scale=s.get("adaptive_noise_scale"), multires_noise_iterations=s.get("multires_noise_iterations"),
        multires_noise_discount=s.get("multires_noise_discount", 0.3), min_timestep=None, max_timestep=None,
        ip_noise_gamma=s.get("input_perturbation"),
        ip_noise_gamma_random_strength=s.get("input_perturbation_random_strength", False),
        loss_type=s.get("loss_type", "l2"), huber_schedule=s.get("huber_schedule", "snr"), huber_c=s.get("huber_c", 0.1),
        huber_scale=s.get("huber_scale", 1.0))
    latents = data["latents"].clone().requires_grad_()
    losses = []
    for i, timestep in enumerate(TIMESTEPS):
        one = slice(i, i + 1)
        queue = [data["noise"][one]]
        if args.noise_offset:
            queue += [data["offset_strength"][one]] * args.noise_offset_random_strength + [data["noise_offset"][one]]
        if args.multires_noise_iterations:
            queue += interleaved(factors[i], levels[i])
        queue.append(torch.tensor([timestep]))
        if args.ip_noise_gamma:
            strength = [data["perturbation_strength"][one]] * args.ip_noise_gamma_random_strength
            queue += strength + [data["perturbation"][one]]
        given.queue = queue
        noise, noisy, timesteps = tu.get_noise_noisy_latents_and_timesteps(args, base.scheduler, latents[one])
        assert not given.queue and timesteps.tolist() == [timestep]
        predicted = base.unet(noisy, timesteps, base.context[one]).sample
        target = base.scheduler.get_velocity(latents[one], noise, timesteps) if base.velocity else noise
        # The end of `process_batch` of train_network.py.
        huber_c = tu.get_huber_threshold_if_needed(args, timesteps, base.scheduler)
        loss = tu.conditional_loss(predicted.float(), target.float(), args.loss_type, "none", huber_c)
        if case.get("mask"):
            loss = ctf.apply_masked_loss(loss, {"alpha_masks": data["mask_pixels"][one]})
        loss = loss.mean([1, 2, 3])
        if case.get("loss_weights"):
            loss = loss * data["loss_weights"][one]
        losses.append(weighed(loss, timesteps, base.scheduler, base.velocity, s))
    loss = torch.cat(losses).mean()
    loss.backward()
    return loss.detach(), latents.grad


SETTINGS = {
    "plain": {},
    "l1": {"loss_type": "l1"},
    "huber_snr": {"loss_type": "huber"},
    "huber_exponential": {"loss_type": "huber", "huber_schedule": "exponential", "huber_c": 0.2, "huber_scale": 1.5},
    "huber_constant": {"loss_type": "huber", "huber_schedule": "constant", "huber_c": 0.3, "huber_scale": 0.5},
    "smooth_l1_snr": {"loss_type": "smooth_l1", "huber_c": 0.25},
    "smooth_l1_exponential": {"loss_type": "smooth_l1", "huber_schedule": "exponential"},
    "smooth_l1_constant": {"loss_type": "smooth_l1", "huber_schedule": "constant", "huber_scale": 2.0},
    "min_snr": {"min_snr_gamma": 5.0},
    "soft_min_snr": {"soft_min_snr_gamma": 4.0},
    "debiased": {"debiased_estimation": True},
    "p2": {"p2_gamma": 1.0},
    "p2_half": {"p2_gamma": 0.5, "p2_k": 0.7},
    "table_snr": {"weight_table": {"by": "snr", "points": TABLE}},
    "table_timestep": {"weight_table": {"by": "timestep", "points": STEPS}},
    "offset": {"noise_offset": 0.1},
    "offset_random": {"noise_offset": 0.1, "noise_offset_random_strength": True},
    "offset_adaptive": {"noise_offset": 0.05, "adaptive_noise_scale": 0.2},
    "offset_adaptive_down": {"noise_offset": 0.05, "noise_offset_random_strength": True, "adaptive_noise_scale": -0.1},
    "multires": {"multires_noise_iterations": ITERATIONS, "multires_noise_discount": DISCOUNT},
    "multires_offset": {"noise_offset": 0.1, "multires_noise_iterations": ITERATIONS, "multires_noise_discount": DISCOUNT},
    "perturbation": {"input_perturbation": 0.1},
    "perturbation_random": {"input_perturbation": 0.1, "input_perturbation_random_strength": True},
}
cases = [{"name": f"{base}.{name}", "base": base, "settings": s} for base in ("tiny-sd15", "tiny-sd21") for name, s in SETTINGS.items()
         if base == "tiny-sd15" or name in ("plain", "huber_snr", "min_snr", "soft_min_snr", "debiased", "p2", "multires_offset", "perturbation")]
cases += [
    {"name": "tiny-sd15.v_like", "base": "tiny-sd15", "settings": {"v_pred_like_loss": 0.5, "min_snr_gamma": 1.0}},
    {"name": "tiny-sd15.masked", "base": "tiny-sd15", "settings": {}, "mask": True},
    {"name": "tiny-sd15.weighted", "base": "tiny-sd15", "settings": {}, "loss_weights": True},
    {"name": "tiny-sd15.all", "base": "tiny-sd15", "mask": True, "loss_weights": True, "settings": {
        "loss_type": "huber", "min_snr_gamma": 5.0, "noise_offset": 0.1, "noise_offset_random_strength": True,
        "adaptive_noise_scale": 0.05, "multires_noise_iterations": ITERATIONS, "input_perturbation": 0.1}},
    {"name": "tiny-sd21.scaled", "base": "tiny-sd21", "settings": {"scale_v_pred_loss_like_noise_pred": True, "min_snr_gamma": 5.0}},
    {"name": "tiny-sd21-zero.plain", "base": "tiny-sd21-zero", "settings": {}},
    {"name": "tiny-sd21-zero.min_snr", "base": "tiny-sd21-zero", "settings": {"min_snr_gamma": 5.0, "noise_offset": 0.05}},
    {"name": "tiny-sd21-zero.huber", "base": "tiny-sd21-zero", "settings": {"loss_type": "huber", "debiased_estimation": True}},
]
for case in cases:
    loss, gradient = loss_of(case)
    case["loss"] = float(loss)
    data[f"{case['name']}.gradient"] = gradient
    print(case["name"], case["loss"])

# Weights of all timesteps, every seventh of them, in f64.
rows = list(range(0, 1000, 7)) + [999]
weights = []
for name in ("soft_min_snr", "p2", "p2_half", "table_snr", "table_timestep"):
    for velocity in (False, True):
        s, t = SETTINGS[name], torch.tensor(rows)
        alphas = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
        snr = torch.tensor(alphas / (1 - alphas))[t]
        column = own_weight(name, t, snr, velocity, s)
        weights.append({"settings": s, "velocity": velocity, "weights": column.tolist()})

# Logit-normal timesteps, at given places of the distribution. Those that lie on the edge between two are left out.
quantiles = np.unique(np.concatenate([np.linspace(0, 1, 130)[1:-1], np.logspace(-12, -2, 11), 1 - np.logspace(-12, -2, 11)]))
normal = torch.special.ndtri(torch.tensor(quantiles, dtype=torch.float64))
logit_normal = []
for mean, std, low, high in [(0.0, 1.0, 0, 1000), (-0.5, 0.7, 0, 1000), (1.2, 2.0, 200, 813)]:
    places = torch.sigmoid(mean + std * normal) * (high - low)
    assert all(abs(place - round(place)) > 1e-9 or place < 1e-9 for place in places.tolist())
    logit_normal.append({"mean": mean, "std": std, "min": low, "max": high,
                         "timesteps": (low + places.floor().long().clamp(max=high - low - 1)).tolist()})

save_file({key: value.contiguous() for key, value in data.items()}, HERE / "objective.safetensors")
record = {"cases": cases, "weight_rows": rows, "weights": weights, "pyramid_factors": long_factors, "quantiles": quantiles.tolist(),
          "normal": normal.tolist(), "logit_normal": logit_normal}
(HERE / "objective.json").write_text(json.dumps(record, separators=(",", ":")))
