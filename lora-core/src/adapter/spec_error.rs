use thiserror::Error;

use crate::lora_file::listed;

/// Why adapters cannot be put into a network.
#[derive(Debug, Error)]
pub enum SpecError {
    /// Rank 0 has no parameters.
    #[error("lora.{field} is 0; use 4 to 128")]
    ZeroRank {
        /// `rank` or `conv_rank`.
        field: &'static str,
    },
    /// The scale would vanish or not be a number.
    #[error("lora.{field} is {alpha}; use a positive number, usually the rank or half of it")]
    BadAlpha {
        /// `alpha` or `conv_alpha`.
        field: &'static str,
        /// The value given.
        alpha: f32,
    },
    /// A setting whose value makes no sense.
    #[error("lora.{key} is {value}; use {expected}")]
    BadValue {
        /// The key behind `lora.`.
        key: String,
        /// The value given.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// Two settings that contradict one another.
    #[error("lora.{key} does not go with lora.{with}: {reason}")]
    Contradiction {
        /// The key behind `lora.`.
        key: &'static str,
        /// The other setting, as it would be written.
        with: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A rank or alpha for layers that get no adapter.
    #[error(
        "lora.conv_rank and lora.conv_alpha are for convolutions; add \"convolution\" to lora.targets, or leave them out"
    )]
    ConvolutionsNotTrained,
    /// Nothing to train.
    #[error("lora.targets is empty; name at least one of text-encoder, attention, convolution")]
    NoTargets,
    /// Rules for layers that the model does not have.
    #[error(
        "lora.blocks: no layer of this model is meant by {}; blocks are counted IN00 up, MID, OUT00 up, BASE for the text \
         encoders, and paths are diffusers', such as unet.down_blocks.1",
        .patterns.join(", ")
    )]
    NoSuchLayers {
        /// The patterns.
        patterns: Vec<String>,
    },
    /// Modules of an adapter file that the network does not have.
    #[error("the adapter does not fit this model: no such module: {}", .modules.join(", "))]
    UnknownModules {
        /// kohya names of the modules.
        modules: Vec<String>,
    },
    /// Modules of an adapter file on layers that have no place for adapters.
    #[error(
        "the adapter changes layers that this program does not adapt: {}; draw with another program, or take these modules out",
        .modules.join(", ")
    )]
    NotAdapted {
        /// kohya names of the modules.
        modules: Vec<String>,
    },
    /// A module's factors do not have the shapes that the frozen weight asks for.
    #[error(
        "{module}: {} do not fit the frozen weight ({outputs} outputs, {receptive} inputs per output)",
        listed(parts)
    )]
    Misfit {
        /// kohya name of the module.
        module: String,
        /// Names and shapes of its tensors.
        parts: Vec<(&'static str, Vec<usize>)>,
        /// Output channels of the frozen weight.
        outputs: usize,
        /// Input channels times kernel area of the frozen weight.
        receptive: usize,
    },
    /// A file that training is to go on from has another kind of adapter, or another rank.
    #[error(
        "lora.from: {module} has {} in the file and {} in this run; set lora.rank, conv_rank, algorithm, factor and dora as the file \
         has them, which `lora inspect` tells",
        listed(file),
        listed(run)
    )]
    OtherAdapter {
        /// kohya name of the module.
        module: String,
        /// Names and shapes of the file's tensors, as matrices.
        file: Vec<(&'static str, Vec<usize>)>,
        /// Names and shapes of the run's.
        run: Vec<(&'static str, Vec<usize>)>,
    },
}
