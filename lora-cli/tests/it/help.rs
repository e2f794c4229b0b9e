use crate::program::{run, text};

#[test]
fn every_command_explains_itself() {
    let commands = [
        "",
        "quickstart",
        "train",
        "plan",
        "sample",
        "grid",
        "inspect",
        "devices",
        "completions",
    ];
    for command in commands {
        let arguments: Vec<&str> = [command, "--help"]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        let output = run(".".as_ref(), &arguments);
        assert!(output.status.success());
        let help = text(&output.stdout);
        let name = format!("help_{}", if command.is_empty() { "lora" } else { command });
        assert!(help.contains("Examples:"), "{command} has no examples");
        assert!(
            help.lines().all(|line| line.chars().count() <= 100),
            "{command} has a long line"
        );
        crate::program::with_filters(|| insta::assert_snapshot!(name, help));
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(".".as_ref(), &["completions", shell]);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("quickstart"), "{shell}");
    }
}
