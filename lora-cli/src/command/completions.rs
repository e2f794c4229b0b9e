use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{
    cli::{Cli, End},
    printer::Printer,
};

const EXAMPLES: &str = "\
Examples:
  lora completions bash > ~/.local/share/bash-completion/completions/lora
  lora completions fish > ~/.config/fish/completions/lora.fish
  lora completions zsh > ~/.zfunc/_lora";

/// Print a script that teaches the shell to complete `lora`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, printer: &Printer) -> End {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "lora", &mut script);
        printer.result(String::from_utf8_lossy(&script).trim_end());
        End::Done
    }
}
