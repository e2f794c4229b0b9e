//! Findings of `lora lint` and `lora plan` in words.

use lora_train::lint::{Finding, Severity};

/// One line for each finding, the file first where it is about one.
pub(crate) fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(line).collect()
}

fn line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let path = finding.path.as_ref();
    let path = path.map_or(String::new(), |path| format!("{}: ", path.display()));
    format!("{severity}: {path}{} [{}]", finding.message, finding.rule)
}

/// How many there are of each kind.
pub(crate) fn summary(findings: &[Finding]) -> String {
    let count = |severity| {
        let of_it = findings
            .iter()
            .filter(|finding| finding.severity == severity);
        of_it.count()
    };
    let counted = |count: usize, name: &str| match count {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    };
    format!(
        "{}, {}, {} worth knowing",
        counted(count(Severity::Error), "error"),
        counted(count(Severity::Warning), "warning"),
        count(Severity::Info)
    )
}
