use crate::program::{run, text};

#[test]
fn every_command_explains_itself() {
    let commands = [
        "",
        "quickstart",
        "prepare",
        "tag",
        "tags",
        "tags list",
        "tags show",
        "tags tokens",
        "tags add",
        "tags remove",
        "tags replace",
        "tags rename",
        "tags sort",
        "tags dedupe",
        "tags set",
        "tags edit",
        "tags undo",
        "tags redo",
        "tags history",
        "presets",
        "init",
        "import",
        "train",
        "queue",
        "queue add",
        "queue list",
        "queue run",
        "queue retry",
        "queue remove",
        "queue clear",
        "reproduce",
        "plan",
        "lint",
        "schedule",
        "faces",
        "sample",
        "grid",
        "inspect",
        "verify",
        "convert",
        "resize",
        "merge",
        "extract",
        "bench",
        "bench load",
        "bench step",
        "bench soak",
        "cache",
        "cache build",
        "cache check",
        "cache prune",
        "devices",
        "completions",
    ];
    for command in commands {
        let words = command.split_whitespace();
        let arguments: Vec<&str> = words.chain(["--help"]).collect();
        let output = run(".".as_ref(), &arguments);
        assert!(output.status.success());
        let help = text(&output.stdout);
        let name = match command {
            "" => "help_lora".to_owned(),
            command => format!("help_{}", command.replace(' ', "_")),
        };
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
