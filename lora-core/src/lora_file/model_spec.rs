//! The `modelspec.*` metadata of Stability AI's model metadata standard, as sd-scripts fills it.

use super::TrainingFacts;

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// Entries of the training, without their `modelspec.` prefix.
pub(super) fn entries(facts: &TrainingFacts) -> Vec<(&'static str, String)> {
    let (width, height) = facts.resolution;
    let mut entries = vec![
        ("date", iso_date(facts.training_finished_at as i64)),
        ("resolution", format!("{width}x{height}")),
        ("title", facts.output_name.clone()),
    ];
    if let Some((first, end)) = facts.timestep_range {
        entries.push(("timestep_range", format!("{first},{end}")));
    }
    if let Some(layers) = facts.clip_skip {
        entries.push(("encoder_layer", layers.to_string()));
    }
    entries
}

/// `2026-11-22T17:04:03` of a time in seconds since 1970, both UTC.
fn iso_date(seconds: i64) -> String {
    let (year, month, day) = civil_date(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}")
}

/// Year, month and day of a number of days since 1970 in the Gregorian calendar (Hinnant's `civil_from_days`).
///
/// Counts in years that begin on 1 March, so that the leap day is a year's last.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // from 1 March of year 0
    let era = days.div_euclid(146_097); // 400 years
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_799, "2000-02-29T23:59:59"),
            (1_709_164_800, "2024-02-29T00:00:00"),
            (1_795_367_043, "2026-11-22T17:04:03"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(iso_date(seconds), date);
        }
    }
}
