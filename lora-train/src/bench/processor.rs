use std::fs;

/// Of a second; Linux counts for programs in hundredths whatever its own clock does.
const TICKS: f64 = 100.0;

/// Seconds that the processor's cores have worked for this process, all of its threads together.
///
/// Linux tells it, to a hundredth (`utime` and `stime` in `/proc/self/stat`); elsewhere it is unknown.
pub fn processor_seconds() -> Option<f64> {
    in_seconds(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// The 14th and 15th field; the second is a name in brackets that may hold anything.
fn in_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_times_are_added() {
        let stat = "12 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 7 8 20 0";
        assert_eq!(in_seconds(stat), Some(3.0));
        assert_eq!(in_seconds("12 (a"), None);
    }
}
