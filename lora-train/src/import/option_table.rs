//! What becomes of each option of kohya's `train_network.py`.

/// What becomes of an option that stands for itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// It is a number.
    Number(&'static str),
    /// It is a number, 0 means off.
    Strength(&'static str),
    /// It is a whole number.
    Count(&'static str),
    /// It is a flag.
    Flag(&'static str),
    /// It is a text; an empty one says nothing.
    Text(&'static str),
    /// It is one of these words, theirs and ours.
    Choice(&'static str, &'static [(&'static str, &'static str)]),
    /// It changes nothing about the result.
    NotNeeded(&'static str),
    /// It asks for something that there is not here; 0, `false` and nothing ask for nothing.
    NotSupported(&'static str),
    /// Another file of this folder looks at it.
    Elsewhere,
}

use Rule::{Choice, Count, Elsewhere, Flag, NotNeeded, NotSupported, Number, Strength, Text};

const ONE_DEVICE: &str = "name the devices in train.device and train.more_devices";
const NO_UPLOADS: &str = "nothing is uploaded; the files lie in output.folder";
const LOGS: &str = "every run writes metrics.jsonl, metrics.csv, tensorboard/, loss.png and index.html to output.folder";
const LOADER: &str = "pictures are loaded without such a setting";
const ATTENTION: &str = "how attention is computed depends on the device";
const STATES: &str =
    "a checkpoint is written with every saved epoch; `lora train --resume latest` goes on from it";
const STATES_OF_OTHERS: &str = "states of PyTorch are not read; `lora train --resume` goes on from checkpoints of this program";
const KEEPS_FILES: &str = "no saved file is deleted; delete those that are too many";
const EPOCHS_ONLY: &str =
    "files are saved after epochs (output.save_every_epochs) and when a run is stopped";
const METADATA: &str = "files have no such field; output.comment is free text";
const IN_CACHE: &str =
    "latents are computed once in every run; cache.folder keeps them for the next";
const BLENDED: &str = "adapters are trained in f32: more exact, and more memory";
const OTHER_MODELS: &str = "it is for other models than Stable Diffusion 1, 2 and XL";

const PRECISIONS: &[(&str, &str)] = &[
    ("no", "f32"),
    ("float", "f32"),
    ("fp32", "f32"),
    ("fp16", "f16"),
    ("bf16", "bf16"),
];

/// Every option of `train_network.py` and `sdxl_train_network.py`, and some that earlier versions had.
pub(super) const RULES: &[(&str, Rule)] = &[
    // The model.
    ("pretrained_model_name_or_path", Elsewhere),
    ("vae", Text("model.vae")),
    (
        "v2",
        NotNeeded("the family is seen from the model's tensors"),
    ),
    ("v_parameterization", Elsewhere),
    ("zero_terminal_snr", Flag("model.zero_terminal_snr")),
    ("clip_skip", Elsewhere),
    ("max_token_length", Elsewhere),
    (
        "tokenizer_cache_dir",
        NotNeeded("the tokenizer comes along"),
    ),
    ("mixed_precision", Choice("model.precision", PRECISIONS)),
    ("full_fp16", NotSupported(BLENDED)),
    ("full_bf16", NotSupported(BLENDED)),
    ("fp16_master_weights_and_gradients", NotSupported(BLENDED)),
    ("fp8_base", Elsewhere),
    ("fp8_base_unet", Elsewhere),
    ("no_half_vae", NotNeeded("the VAE always computes in f32")),
    (
        "disable_mmap_load_safetensors",
        NotNeeded("files are read without memory maps"),
    ),
    (
        "lowram",
        NotNeeded("weights go to the device one tensor at a time"),
    ),
    ("highvram", NotNeeded("there is nothing to switch off")),
    // The pictures.
    ("dataset_config", Elsewhere),
    (
        "dataset_class",
        NotSupported("datasets of one's own are Rust: implement lora_data::Dataset"),
    ),
    (
        "dataset_repeats",
        NotSupported("repeats are in the names of folders, or dataset.folders.repeats"),
    ),
    ("train_data_dir", Elsewhere),
    ("reg_data_dir", Elsewhere),
    ("in_json", Elsewhere),
    ("resolution", Elsewhere),
    ("enable_bucket", Elsewhere),
    ("min_bucket_reso", Elsewhere),
    ("max_bucket_reso", Elsewhere),
    ("bucket_reso_steps", Elsewhere),
    ("bucket_no_upscale", Elsewhere),
    ("resize_interpolation", Elsewhere),
    ("prior_loss_weight", Number("dataset.prior_loss_weight")),
    ("color_aug", Flag("dataset.augment.color")),
    ("flip_aug", Flag("dataset.augment.flip")),
    ("random_crop", Flag("dataset.augment.random_crop")),
    (
        "face_crop_aug_range",
        NotSupported("make face crops with `lora faces`"),
    ),
    ("alpha_mask", Elsewhere),
    ("masked_loss", Elsewhere),
    ("conditioning_data_dir", Elsewhere),
    ("cache_latents", NotNeeded(IN_CACHE)),
    ("cache_latents_to_disk", Elsewhere),
    (
        "cache_text_encoder_outputs",
        NotNeeded("text encoders that are not trained are asked once for each caption"),
    ),
    ("cache_text_encoder_outputs_to_disk", Elsewhere),
    (
        "cache_info",
        NotNeeded("pictures are looked at anew each time"),
    ),
    (
        "skip_cache_check",
        NotNeeded("entries of the cache are found by what they are made of"),
    ),
    (
        "vae_batch_size",
        NotNeeded("pictures are encoded one at a time"),
    ),
    ("max_data_loader_n_workers", NotNeeded(LOADER)),
    ("persistent_data_loader_workers", NotNeeded(LOADER)),
    (
        "debug_dataset",
        NotNeeded("`lora plan` shows what is trained"),
    ),
    // Captions.
    ("caption_extension", Elsewhere),
    ("caption_extention", Elsewhere),
    ("caption_prefix", Text("dataset.caption.prefix")),
    ("caption_suffix", Text("dataset.caption.suffix")),
    ("caption_separator", Text("dataset.caption.separator")),
    ("caption_dropout_rate", Number("dataset.caption.dropout")),
    (
        "caption_dropout_every_n_epochs",
        Count("dataset.caption.dropout_every_epochs"),
    ),
    (
        "caption_tag_dropout_rate",
        Number("dataset.caption.tag_dropout"),
    ),
    ("enable_wildcard", Flag("dataset.caption.wildcards")),
    ("keep_tokens", Count("dataset.caption.keep_tokens")),
    (
        "keep_tokens_separator",
        Text("dataset.caption.keep_tokens_separator"),
    ),
    (
        "secondary_separator",
        Text("dataset.caption.secondary_separator"),
    ),
    ("shuffle_caption", Flag("dataset.caption.shuffle")),
    ("token_warmup_min", Count("dataset.caption.warmup_min")),
    ("token_warmup_step", Number("dataset.caption.warmup_steps")),
    (
        "weighted_captions",
        NotSupported("brackets in captions are trained as they stand, and weigh nothing"),
    ),
    // What is trained.
    ("network_module", Elsewhere),
    ("network_dim", Elsewhere),
    ("network_alpha", Elsewhere),
    ("network_dropout", Elsewhere),
    ("network_args", Elsewhere),
    ("network_weights", Text("lora.from")),
    (
        "dim_from_weights",
        NotSupported("set lora.rank to that of the file, which `lora inspect` tells"),
    ),
    ("network_train_unet_only", Elsewhere),
    ("network_train_text_encoder_only", Elsewhere),
    (
        "base_weights",
        NotSupported(
            "merge them into the model first: `lora merge --into MODEL FILE:STRENGTH -o OUT`",
        ),
    ),
    (
        "base_weights_multiplier",
        NotSupported(
            "merge them into the model first: `lora merge --into MODEL FILE:STRENGTH -o OUT`",
        ),
    ),
    ("scale_weight_norms", Strength("lora.max_norm")),
    (
        "stop_text_encoder_training",
        NotSupported("text encoders learn to the end, or not at all (train.text_lr = 0)"),
    ),
    // The loop.
    ("train_batch_size", Count("train.batch_size")),
    ("gradient_accumulation_steps", Count("train.accumulation")),
    ("max_train_epochs", Elsewhere),
    ("max_train_steps", Elsewhere),
    ("learning_rate", Elsewhere),
    ("unet_lr", Elsewhere),
    ("text_encoder_lr", Elsewhere),
    ("max_grad_norm", Number("train.max_grad_norm")),
    ("seed", Count("train.seed")),
    (
        "gradient_checkpointing",
        Choice(
            "train.gradient_checkpointing",
            &[("true", "block"), ("false", "none")],
        ),
    ),
    (
        "cpu_offload_checkpointing",
        NotSupported("what is kept stays on the device: the same result, and more of its memory"),
    ),
    (
        "fused_backward_pass",
        NotNeeded("it saves memory and changes no result"),
    ),
    ("xformers", NotNeeded(ATTENTION)),
    ("sdpa", NotNeeded(ATTENTION)),
    ("mem_eff_attn", NotNeeded(ATTENTION)),
    (
        "torch_compile",
        NotNeeded("burn compiles its kernels by itself"),
    ),
    (
        "dynamo_backend",
        NotNeeded("burn compiles its kernels by itself"),
    ),
    ("deepspeed", NotSupported(ONE_DEVICE)),
    ("zero_stage", NotSupported(ONE_DEVICE)),
    ("offload_optimizer_device", NotSupported(ONE_DEVICE)),
    ("offload_optimizer_nvme_path", NotSupported(ONE_DEVICE)),
    ("offload_param_device", NotSupported(ONE_DEVICE)),
    ("offload_param_nvme_path", NotSupported(ONE_DEVICE)),
    ("zero3_init_flag", NotSupported(ONE_DEVICE)),
    ("zero3_save_16bit_model", NotSupported(ONE_DEVICE)),
    ("ddp_timeout", NotNeeded(ONE_DEVICE)),
    ("ddp_gradient_as_bucket_view", NotNeeded(ONE_DEVICE)),
    ("ddp_static_graph", NotNeeded(ONE_DEVICE)),
    (
        "initial_epoch",
        NotSupported("a run starts at its first epoch"),
    ),
    (
        "initial_step",
        NotSupported("a run starts at its first step"),
    ),
    (
        "skip_until_initial_step",
        NotSupported("a run starts at its first step"),
    ),
    // The optimiser and the schedule.
    ("optimizer_type", Elsewhere),
    ("optimizer_args", Elsewhere),
    ("use_8bit_adam", Elsewhere),
    ("use_lion_optimizer", Elsewhere),
    ("lr_scheduler", Elsewhere),
    ("lr_scheduler_type", Elsewhere),
    ("lr_scheduler_args", Elsewhere),
    ("lr_scheduler_num_cycles", Elsewhere),
    ("lr_scheduler_power", Elsewhere),
    ("lr_scheduler_timescale", Elsewhere),
    ("lr_scheduler_min_lr_ratio", Elsewhere),
    ("lr_warmup_steps", Elsewhere),
    ("lr_decay_steps", Elsewhere),
    // The loss.
    ("min_snr_gamma", Strength("objective.min_snr_gamma")),
    ("noise_offset", Strength("objective.noise_offset")),
    (
        "noise_offset_random_strength",
        Flag("objective.noise_offset_random_strength"),
    ),
    (
        "adaptive_noise_scale",
        Strength("objective.adaptive_noise_scale"),
    ),
    (
        "multires_noise_iterations",
        Strength("objective.multires_noise_iterations"),
    ),
    (
        "multires_noise_discount",
        Number("objective.multires_noise_discount"),
    ),
    ("ip_noise_gamma", Strength("objective.input_perturbation")),
    (
        "ip_noise_gamma_random_strength",
        Flag("objective.input_perturbation_random_strength"),
    ),
    (
        "debiased_estimation_loss",
        Flag("objective.debiased_estimation"),
    ),
    (
        "scale_v_pred_loss_like_noise_pred",
        Flag("objective.scale_v_pred_loss_like_noise_pred"),
    ),
    ("v_pred_like_loss", Strength("objective.v_pred_like_loss")),
    ("loss_type", Text("objective.loss_type")),
    ("huber_schedule", Text("objective.huber_schedule")),
    ("huber_c", Number("objective.huber_c")),
    ("huber_scale", Number("objective.huber_scale")),
    ("min_timestep", Count("timesteps.min")),
    ("max_timestep", Count("timesteps.max")),
    // Files.
    ("output_dir", Text("output.folder")),
    ("output_name", Elsewhere),
    ("save_precision", Choice("output.dtype", PRECISIONS)),
    ("save_every_n_epochs", Elsewhere),
    ("save_every_n_steps", Count("output.save_every_steps")),
    ("save_n_epoch_ratio", NotSupported(EPOCHS_ONLY)),
    ("save_last_n_epochs", NotSupported(KEEPS_FILES)),
    ("save_last_n_steps", NotSupported(KEEPS_FILES)),
    ("save_model_as", Elsewhere),
    ("no_metadata", Flag("output.private")),
    ("training_comment", Text("output.comment")),
    ("metadata_trigger_phrase", Text("output.trigger")),
    ("metadata_title", NotSupported("the title is output.name")),
    ("metadata_author", NotSupported(METADATA)),
    ("metadata_description", NotSupported(METADATA)),
    ("metadata_license", NotSupported(METADATA)),
    ("metadata_tags", NotSupported(METADATA)),
    ("metadata_usage_hint", NotSupported(METADATA)),
    ("metadata_thumbnail", NotSupported(METADATA)),
    ("metadata_merged_from", NotSupported(METADATA)),
    ("metadata_is_negative_embedding", NotSupported(METADATA)),
    ("metadata_preprocessor", NotSupported(METADATA)),
    ("save_state", NotNeeded(STATES)),
    ("save_state_on_train_end", NotNeeded(STATES)),
    ("save_last_n_epochs_state", Count("checkpoint.keep")),
    ("save_last_n_steps_state", NotNeeded(STATES)),
    ("resume", NotSupported(STATES_OF_OTHERS)),
    ("resume_from_huggingface", NotSupported(STATES_OF_OTHERS)),
    ("save_state_to_huggingface", NotSupported(NO_UPLOADS)),
    ("huggingface_repo_id", NotSupported(NO_UPLOADS)),
    ("huggingface_repo_type", NotSupported(NO_UPLOADS)),
    ("huggingface_path_in_repo", NotSupported(NO_UPLOADS)),
    ("huggingface_token", NotSupported(NO_UPLOADS)),
    ("huggingface_repo_visibility", NotSupported(NO_UPLOADS)),
    ("async_upload", NotSupported(NO_UPLOADS)),
    ("config_file", NotNeeded("it is the file that was read")),
    ("output_config", NotNeeded("every run writes resolved.toml")),
    // Previews and measures.
    ("sample_every_n_steps", Elsewhere),
    ("sample_every_n_epochs", Elsewhere),
    ("sample_prompts", Elsewhere),
    ("sample_sampler", Elsewhere),
    ("sample_at_first", Flag("preview.at_start")),
    (
        "validation_seed",
        NotSupported("which pictures heldout.split takes depends on train.seed"),
    ),
    ("validation_split", Strength("heldout.split")),
    ("validate_every_n_epochs", Count("heldout.every_epochs")),
    ("validate_every_n_steps", Count("heldout.every")),
    (
        "max_validation_steps",
        NotSupported("all held-out pictures are measured, at heldout.timesteps timesteps each"),
    ),
    // Logs.
    ("logging_dir", NotNeeded(LOGS)),
    ("log_with", NotNeeded(LOGS)),
    ("log_prefix", NotNeeded(LOGS)),
    ("log_tracker_name", NotNeeded(LOGS)),
    ("log_tracker_config", NotNeeded(LOGS)),
    ("log_config", NotNeeded(LOGS)),
    ("wandb_api_key", NotNeeded(LOGS)),
    ("wandb_run_name", NotNeeded(LOGS)),
    (
        "console_log_file",
        NotNeeded("-v tells more, and 2> puts it into a file"),
    ),
    ("console_log_level", NotNeeded("-v tells more")),
    ("console_log_simple", NotNeeded("-v tells more")),
    // Scripts for other models, whose options the interfaces write too.
    ("text_encoder_batch_size", NotNeeded(OTHER_MODELS)),
];
