use std::{fmt::Write, io};

use super::{
    LogFormat,
    scalar::{names, scalars},
};
use crate::Event;

/// The file, seen from the run folder.
pub(super) const FILE: &str = "metrics.csv";

/// A row for each report, and one for each held-out measure, whose other cells are empty (RFC 4180, with `\n`).
#[derive(Debug)]
pub(super) struct Csv;

impl LogFormat for Csv {
    fn file(&self) -> &'static str {
        FILE
    }

    fn head(&self, _time: f64) -> Vec<u8> {
        let mut line = "step".to_owned();
        for name in names() {
            line.push(',');
            line += name;
        }
        line.push('\n');
        line.into_bytes()
    }

    fn entry(&self, event: &Event<'_>, _time: f64) -> io::Result<Vec<u8>> {
        let Some((step, scalars)) = scalars(event) else {
            return Ok(Vec::new());
        };
        let mut line = step.to_string();
        for scalar in scalars {
            line.push(',');
            if let Some(value) = scalar.value {
                // As JSON has it: what is read back is the same number. Writing to text cannot fail.
                let _ = write!(line, "{value}");
            }
        }
        line.push('\n');
        Ok(line.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::report;

    #[test]
    fn rows_have_the_columns_of_the_head_and_the_numbers_of_the_event() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let head = text(Csv.head(0.0));
        let row = |event: &Event<'_>| text(Csv.entry(event, 0.0).expect("a row"));
        let stepped = row(&Event::Stepped(&report()));
        let measured = row(&Event::Measured {
            step: 50,
            heldout_loss: 0.0625,
        });
        let cell = |row: &str, name: &str| {
            let place = head.trim_end().split(',').position(|column| column == name);
            let cells: Vec<&str> = row.trim_end_matches('\n').split(',').collect();
            assert_eq!(cells.len(), head.split(',').count());
            cells[place.expect("a column")].to_owned()
        };
        assert_eq!(cell(&stepped, "step"), "10");
        assert_eq!(cell(&stepped, "loss"), "0.1");
        assert_eq!(cell(&stepped, "balanced_loss"), "0.3");
        assert_eq!(cell(&stepped, "loss_t000_099"), "0.5");
        assert_eq!(cell(&stepped, "loss_t100_199"), "");
        assert_eq!(cell(&stepped, "loss_t900_999"), "0.1");
        assert_eq!(cell(&stepped, "heldout_loss"), "");
        assert_eq!(cell(&stepped, "resident_bytes"), "1048576");
        assert_eq!(cell(&measured, "step"), "50");
        assert_eq!(cell(&measured, "heldout_loss"), "0.0625");
        assert_eq!(cell(&measured, "loss"), "");
        assert!(
            Csv.entry(&Event::Paused { step: 1 }, 0.0)
                .expect("nothing")
                .is_empty()
        );
    }
}
