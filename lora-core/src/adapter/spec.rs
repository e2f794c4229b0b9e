use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{BlockRule, DropoutRates, Naming, SiteShape, SpecError, Target};

/// What to train: which layers, and by what the change of each is described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraSpec {
    /// How a change is put together, LyCORIS' `algo`.
    pub algorithm: Algorithm,
    /// Rank of every pair, kohya's `network_dim`.
    pub rank: usize,
    /// The correction is scaled by `alpha / rank`, kohya's `network_alpha`.
    pub alpha: f32,
    /// Parts of the model that get adapters. kohya's default is `text-encoder` and `attention`.
    pub targets: Vec<Target>,
    /// Rank of the convolutions wider than 1×1, kohya's `conv_dim`; [`Self::rank`] when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conv_rank: Option<usize>,
    /// Alpha of the convolutions wider than 1×1, kohya's `conv_alpha`; [`Self::alpha`] when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conv_alpha: Option<f32>,
    /// Whether the length of each adapted weight's rows is trained beside its change (DoRA), LyCORIS' `dora_wd`.
    pub dora: bool,
    /// Where pairs start.
    pub start: LoraStart,
    /// Whether the down factors stay as they are drawn and only the up factors learn (LoRA-FA, Zhang et al. 2023).
    pub freeze_down: bool,
    /// For LoKr, into how many parts channels are split at most; as evenly as possible when left out. LyCORIS' `factor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<usize>,
    /// For LoKr, whether the small factor is a pair, too, where that is smaller. LyCORIS' `decompose_both`.
    pub decompose_both: bool,
    /// A file whose matrices training goes on from, of the same kind and ranks; kohya's `network_weights`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// The largest norm of a module's change, to which it is scaled down after each step; kohya's `scale_weight_norms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_norm: Option<f64>,
    /// What is left out of each step.
    pub dropout: DropoutRates,
    /// Layers with settings of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockRule>,
}

/// How a change is put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// A low-rank pair: LoRA, and LoCon on convolutions.
    #[default]
    Lora,
    /// The element-wise product of two pairs: LoHa.
    Loha,
    /// The Kronecker product of two matrices: LoKr.
    Lokr,
}

impl Algorithm {
    /// What LyCORIS calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lora => "lora",
            Self::Loha => "loha",
            Self::Lokr => "lokr",
        }
    }
}

/// Where pairs start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoraStart {
    /// Down random, up zero.
    #[default]
    Random,
    /// At the frozen weight's principal components (PiSSA, Meng et al. 2024). Files have twice the rank: they hold what was
    /// learnt and take away what was there.
    Pissa,
}

impl Default for LoraSpec {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Lora,
            rank: 16,
            alpha: 16.0,
            targets: vec![Target::TextEncoder, Target::Attention],
            conv_rank: None,
            conv_alpha: None,
            dora: false,
            start: LoraStart::Random,
            freeze_down: false,
            factor: None,
            decompose_both: false,
            from: None,
            max_norm: None,
            dropout: DropoutRates::default(),
            blocks: Vec::new(),
        }
    }
}

/// What holds for one layer, its rules followed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResolvedLayer {
    /// Rank of its change.
    pub rank: usize,
    /// Numerator of its scale.
    pub alpha: f32,
    /// What its learning rate is multiplied by.
    pub lr: f64,
}

impl LoraSpec {
    /// What holds for the layer that diffusers calls `path`: as kohya does, only convolutions wider than 1×1 have a rank
    /// and alpha of their own.
    pub fn layer(&self, naming: &Naming, path: &str, shape: SiteShape) -> ResolvedLayer {
        let is_wide = shape.kernel.is_some_and(|kernel| kernel != [1, 1]);
        let mut layer = ResolvedLayer {
            rank: self.conv_rank.filter(|_| is_wide).unwrap_or(self.rank),
            alpha: self.conv_alpha.filter(|_| is_wide).unwrap_or(self.alpha),
            lr: 1.0,
        };
        let rules = self.blocks.iter().filter(|rule| {
            let mut patterns = rule.layers.iter();
            patterns.any(|pattern| pattern.matches(naming, path))
        });
        for rule in rules {
            let (rank, alpha) = if is_wide {
                (rule.conv_rank, rule.conv_alpha)
            } else {
                (rule.rank, rule.alpha)
            };
            layer = ResolvedLayer {
                rank: rank.unwrap_or(layer.rank),
                alpha: alpha.unwrap_or(layer.alpha),
                lr: rule.lr.unwrap_or(layer.lr),
            };
        }
        layer
    }

    /// # Errors
    /// A rank of 0, an alpha that is not a positive number, no target, settings of convolutions that are not trained,
    /// settings that make no sense or contradict one another.
    pub fn check(&self) -> Result<(), SpecError> {
        let ranks = [("rank", Some(self.rank)), ("conv_rank", self.conv_rank)];
        if let Some((field, _)) = ranks.into_iter().find(|&(_, rank)| rank == Some(0)) {
            return Err(SpecError::ZeroRank { field });
        }
        for (field, alpha) in [("alpha", Some(self.alpha)), ("conv_alpha", self.conv_alpha)] {
            if let Some(alpha) = alpha.filter(|alpha| !(alpha.is_finite() && *alpha > 0.0)) {
                return Err(SpecError::BadAlpha { field, alpha });
            }
        }
        if self.targets.is_empty() {
            return Err(SpecError::NoTargets);
        }
        let of_rules = self.blocks.iter();
        let has_own = of_rules
            .map(|rule| (rule.conv_rank, rule.conv_alpha))
            .chain([(self.conv_rank, self.conv_alpha)])
            .any(|(rank, alpha)| rank.is_some() || alpha.is_some());
        if has_own && !self.targets.contains(&Target::Convolution) {
            return Err(SpecError::ConvolutionsNotTrained);
        }
        self.check_values()?;
        self.check_combinations()?;
        let mut rules = self.blocks.iter().enumerate();
        rules.try_for_each(|(index, rule)| rule.check(index))
    }

    fn check_values(&self) -> Result<(), SpecError> {
        let bad = |key: &str, value: String, expected: &'static str| {
            Err(SpecError::BadValue {
                key: key.to_owned(),
                value,
                expected,
            })
        };
        for (key, rate) in [
            ("dropout.hidden", self.dropout.hidden),
            ("dropout.rank", self.dropout.rank),
            ("dropout.module", self.dropout.module),
        ] {
            if !(0.0..1.0).contains(&rate) {
                let expected = "a share from 0 to below 1, such as 0.1";
                return bad(key, rate.to_string(), expected);
            }
        }
        if let Some(norm) = self
            .max_norm
            .filter(|norm| !(norm.is_finite() && *norm > 0.0))
        {
            return bad("max_norm", norm.to_string(), "a positive number, usually 1");
        }
        match self.factor {
            Some(0) => bad("factor", "0".to_owned(), "2 to 16, or leave it out"),
            _ => Ok(()),
        }
    }

    fn check_combinations(&self) -> Result<(), SpecError> {
        let contradiction = |key, with, reason| Err(SpecError::Contradiction { key, with, reason });
        let (is_lora, is_lokr) = (
            self.algorithm == Algorithm::Lora,
            self.algorithm == Algorithm::Lokr,
        );
        if !is_lora && self.freeze_down {
            return contradiction("freeze_down", "algorithm", "only LoRA has a down factor");
        }
        if !is_lora && self.start == LoraStart::Pissa {
            let reason = "only LoRA can start at principal components";
            return contradiction("start", "algorithm", reason);
        }
        if self.dora && self.start == LoraStart::Pissa {
            let reason = "no program reads files of both";
            return contradiction("start = \"pissa\"", "dora = true", reason);
        }
        if self.from.is_some() && self.start == LoraStart::Pissa {
            let reason = "training starts either at the file's matrices or at principal components";
            return contradiction("start = \"pissa\"", "from", reason);
        }
        if self.max_norm.is_some() && self.start == LoraStart::Pissa {
            let reason =
                "what is scaled down is the whole of the matrices, of which the start is most";
            return contradiction("start = \"pissa\"", "max_norm", reason);
        }
        if self.freeze_down && self.start == LoraStart::Pissa {
            let reason = "a frozen down factor is to be random";
            return contradiction("start = \"pissa\"", "freeze_down = true", reason);
        }
        if self.dropout.hidden > 0.0 && (!is_lora || self.dora) {
            let reason =
                "there is nothing between two factors to drop; use dropout.rank or dropout.module";
            let with = if is_lora { "dora = true" } else { "algorithm" };
            return contradiction("dropout.hidden", with, reason);
        }
        if !is_lokr && (self.factor.is_some() || self.decompose_both) {
            let key = if self.factor.is_some() {
                "factor"
            } else {
                "decompose_both"
            };
            return contradiction(key, "algorithm", "it is for algorithm = \"lokr\"");
        }
        Ok(())
    }
}
