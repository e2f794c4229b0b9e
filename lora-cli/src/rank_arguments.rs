use anyhow::bail;
use clap::Args;
use lora_core::lora_tools::{RankChoice, RankRule};

use crate::model_arguments::at_least_one;

/// How many singular values of each layer are kept.
#[derive(Args, Debug)]
#[command(next_help_heading = "Rank")]
pub(crate) struct RankArguments {
    /// The rank; with one of the rules below, the highest
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    rank: Option<usize>,
    /// The same for convolutions with kernels larger than 1×1
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) conv_rank: Option<usize>,
    /// As few as keep this share of the energy, the squared norm
    #[arg(long, value_name = "SHARE", value_parser = share, group = "rule")]
    energy: Option<f64>,
    /// As few as keep this share of the norm (kohya's sv_fro)
    #[arg(long, value_name = "SHARE", value_parser = share, group = "rule")]
    frobenius: Option<f64>,
    /// As few as keep this share of the sum of the singular values (kohya's sv_cumulative)
    #[arg(long, value_name = "SHARE", value_parser = share, group = "rule")]
    cumulative: Option<f64>,
    /// Those above the largest divided by this (kohya's sv_ratio)
    #[arg(long, value_name = "RATIO", value_parser = ratio, group = "rule")]
    ratio: Option<f64>,
}

impl RankArguments {
    /// The choice; an error when there is none and no `default` rank either.
    pub(crate) fn choice(&self, default: Option<usize>) -> anyhow::Result<RankChoice> {
        let rules = [
            self.energy.map(RankRule::Energy),
            self.frobenius.map(RankRule::Frobenius),
            self.cumulative.map(RankRule::Cumulative),
            self.ratio.map(RankRule::Ratio),
        ];
        let rule = rules.into_iter().flatten().next();
        let rank = self.rank.or(default.filter(|_| rule.is_none()));
        if rule.is_none() && rank.is_none() {
            bail!("how small should it become? give --rank N, or a rule such as --energy 0.9");
        }
        let at_most = rank.unwrap_or(usize::MAX);
        Ok(RankChoice {
            rule: rule.unwrap_or(RankRule::Fixed),
            at_most,
            at_most_of_convolutions: self.conv_rank.unwrap_or(at_most),
        })
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("a number above 0 and up to 1 is needed".to_owned()),
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if ratio >= 1.0 && f64::is_finite(ratio) => Ok(ratio),
        _ => Err("a number from 1 up is needed".to_owned()),
    }
}
