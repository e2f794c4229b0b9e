use clap::Args;
use lora_train::{Plan as RunPlan, config::TrainConfig};

use crate::{cli::End, findings_text, plan_text, printer::Printer, run_file::RunFile};

const EXAMPLES: &str = "\
Examples:
  lora plan run.toml
  lora plan run.toml --set train.batch_size=4 --json";

/// Tell what a run would do, and everything that is wrong with it, without doing it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Plan {
    #[command(flatten)]
    run: RunFile,
    /// List all pictures, however many there are
    #[arg(long)]
    all: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let mut config = self.run.read()?;
        config.train.device = config.train.device.settle()?;
        let plan = RunPlan::open(&config)?;
        if self.json {
            printer.document(&plan);
        } else {
            printer.result(&text(&config, &plan, self.all));
        }
        Ok(End::Done)
    }
}

fn text(config: &TrainConfig, plan: &RunPlan, all: bool) -> String {
    let longest = plan.pictures.iter().max_by_key(|picture| picture.tokens);
    let mut lines = vec![
        format!("model {}", config.model.path.display()),
        format!("device {}", config.train.device),
        plan_text::steps(config, plan),
        plan_text::files(config, plan),
        format!("rank {}, alpha {}", config.lora.rank, config.lora.alpha),
        format!("resolution {}", config.dataset.resolution),
    ];
    lines.extend(longest.map(|picture| {
        format!(
            "longest caption {} tokens of {}",
            picture.tokens, config.model.max_tokens
        )
    }));
    lines.extend(plan_text::buckets(plan));
    lines.extend(plan_text::pictures(plan, all));
    lines.extend(plan.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(findings_text::lines(&plan.findings));
    lines.join("\n")
}
