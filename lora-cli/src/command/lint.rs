use std::path::{Path, PathBuf};

use clap::Args;
use lora_data::{BucketConfig, FolderConfig, Resolution};
use lora_train::{
    config::TrainConfig,
    lint::{Finding, RULES, Severity},
};
use serde::Serialize;

use crate::{cli::End, draw_arguments::size, findings_text, printer::Printer};

const EXAMPLES: &str = "\
Examples:
  lora lint run.toml && lora train run.toml
  lora lint \"dataset/10_sks dog\" --trigger \"sks dog\" --fixed-trait \"red collar\"
  lora lint run.toml --strict --allow enlarged
  lora lint run.toml --deny caption-cut,note
  lora lint --rules

The exit code is 1 when there are errors, or with --strict warnings.";

/// Look for what is wrong or odd about a dataset: captions, trigger word, sizes, duplicates
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Lint {
    /// A run's config, or a folder of pictures
    #[arg(value_name = "RUN.toml|FOLDER", required_unless_present = "rules")]
    subject: Option<PathBuf>,
    /// Set a value of the config, as lint.max_crop=0.5
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The trigger word; output.trigger when left out
    #[arg(long, value_name = "WORDS")]
    trigger: Option<String>,
    /// A trait that is to become part of the trigger word; may be given several times
    #[arg(long = "fixed-trait", value_name = "TAG")]
    fixed_traits: Vec<String>,
    /// Size of training of a folder, as 512 or 512x768
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<[u32; 2]>,
    /// Sort the pictures of a folder into buckets
    #[arg(long)]
    buckets: bool,
    /// Count warnings as errors
    #[arg(long)]
    strict: bool,
    /// Do not look at a rule; may be given several times
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(RULES.map(|(rule, _)| rule)), hide_possible_values = true)]
    allow: Vec<String>,
    /// Count what a rule finds as an error; may be given several times
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(RULES.map(|(rule, _)| rule)), hide_possible_values = true)]
    deny: Vec<String>,
    /// List the rules
    #[arg(long)]
    rules: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    fit: bool,
    findings: &'a [Finding],
}

impl Lint {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let Some(subject) = self.subject.as_deref().filter(|_| !self.rules) else {
            printer.result(&rules());
            return Ok(End::Done);
        };
        let config = self.config(subject)?;
        let findings = lora_train::lint::lint_files(&config)?;
        let limit = if self.strict {
            Severity::Warning
        } else {
            Severity::Error
        };
        let fit = findings.iter().all(|finding| finding.severity > limit);
        if self.json {
            printer.document(&Document {
                fit,
                findings: &findings,
            });
        } else {
            let mut lines = findings_text::lines(&findings);
            lines.push(findings_text::summary(&findings));
            printer.result(&lines.join("\n"));
        }
        Ok(if fit { End::Done } else { End::Unfit })
    }

    fn config(&self, subject: &Path) -> anyhow::Result<TrainConfig> {
        let mut config = if subject.is_dir() {
            let mut config = TrainConfig::default().with_overrides(&self.overrides)?;
            config.dataset.folders = vec![FolderConfig::new(subject)];
            config
        } else {
            TrainConfig::read(subject, &self.overrides)?
        };
        if let Some(trigger) = &self.trigger {
            config.output.trigger.clone_from(trigger);
        }
        if let Some([width, height]) = self.size {
            config.dataset.resolution = Resolution { width, height };
        }
        if self.buckets && config.dataset.buckets.is_none() {
            config.dataset.buckets = Some(BucketConfig::default());
        }
        config
            .lint
            .fixed_traits
            .extend(self.fixed_traits.iter().cloned());
        config.lint.allow.extend(self.allow.iter().cloned());
        config.lint.deny.extend(self.deny.iter().cloned());
        Ok(config)
    }
}

fn rules() -> String {
    let width = RULES.iter().map(|(rule, _)| rule.len()).max().unwrap_or(0);
    let lines = RULES.map(|(rule, looks_for)| format!("{rule:width$}  {looks_for}"));
    lines.join("\n")
}
