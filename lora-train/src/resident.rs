use std::fs;

/// The memory in bytes that the process has in RAM now.
///
/// Linux tells it (`VmRSS` in `/proc/self/status`); elsewhere it is unknown.
pub fn present_resident() -> Option<u64> {
    of_this_process("VmRSS:")
}

/// The largest memory in bytes that the process ever had in RAM, since its start or [`forget_peak_resident`].
///
/// Linux tells it (`VmHWM` in `/proc/self/status`); elsewhere it is unknown.
pub fn peak_resident() -> Option<u64> {
    of_this_process("VmHWM:")
}

/// Lets [`peak_resident`] count anew from what is resident now; where that cannot be done, it goes on as before.
pub fn forget_peak_resident() {
    // Linux's way to say so; see proc(5).
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn of_this_process(name: &str) -> Option<u64> {
    in_bytes(&fs::read_to_string("/proc/self/status").ok()?, name)
}

/// The line `VmHWM:   123456 kB`.
fn in_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_among_others() {
        let status = "Name:\tlora\nVmPeak:\t  900 kB\nVmHWM:\t    8192 kB\nVmRSS:\t 100 kB\n";
        assert_eq!(in_bytes(status, "VmHWM:"), Some(8 << 20));
        assert_eq!(in_bytes(status, "VmRSS:"), Some(100 << 10));
        assert_eq!(in_bytes("Name:\tlora\n", "VmRSS:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_there_now_is_not_more_than_the_most_there_ever_was() {
        let present = present_resident().expect("Linux tells it");
        assert!(present > 0 && peak_resident() >= Some(present));
    }
}
