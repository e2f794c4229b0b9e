use clap::Args;
use lora_train::{CacheCheck, Flow, Handle, KindCount};

use super::{Place, size};
use crate::{cli::End, interrupt, printer::Printer};

const EXAMPLES: &str = "\
Examples:
  lora cache check cache
  lora cache check run.toml --json

Damaged entries do no harm: runs compute them anew. `lora cache prune` removes them.";

/// Read every entry and tell which are damaged
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    #[command(flatten)]
    place: Place,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let cache = self.place.open()?;
        let handle = Handle::default();
        interrupt::stop_on_ctrl_c(handle.clone(), printer.clone())?;
        let bar = printer.bar(0, "files");
        let check = cache.check(|done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            if handle.is_stopping() {
                Flow::Break(())
            } else {
                Flow::Continue(())
            }
        });
        bar.finish_and_clear();
        let check = check?;
        if self.json {
            printer.document(&check);
        } else {
            printer.result(&text(&check));
        }
        Ok(match (check.complete, check.damaged.is_empty()) {
            (false, _) => End::Stopped,
            (true, true) => End::Done,
            (true, false) => End::Unfit,
        })
    }
}

fn text(check: &CacheCheck) -> String {
    let kind = |what: &str, count: KindCount| {
        format!(
            "{what}: {} sound entries, {}",
            count.entries,
            size(count.bytes)
        )
    };
    let mut lines: Vec<String> = Vec::new();
    lines.extend(
        check
            .damaged
            .iter()
            .map(|fault| format!("damaged: {}", fault.reason)),
    );
    let unfinished = check.unfinished.iter();
    lines.extend(unfinished.map(|path| format!("unfinished: {}", path.display())));
    let foreign = check.foreign.iter();
    lines.extend(foreign.map(|path| format!("none of the cache's: {}", path.display())));
    lines.push(kind("latents", check.latents));
    lines.push(kind("text states", check.text));
    lines.join("\n")
}
