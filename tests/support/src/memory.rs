//! The memory of a process, as the kernel counts it.

use std::{fs, io};

/// Returns the resident memory of a process in bytes; the process is a number, or `self`.
///
/// # Errors
/// Returns an error if there is no such process.
pub fn resident(process: &str) -> io::Result<u64> {
    field(&format!("/proc/{process}/smaps_rollup"), "Rss:")
}

/// Returns the highest resident memory of a process so far, in bytes; the process is a number, or `self`.
///
/// # Errors
/// Returns an error if there is no such process.
pub fn peak(process: &str) -> io::Result<u64> {
    field(&format!("/proc/{process}/status"), "VmHWM:")
}

/// Returns the value of a line in kilobytes, as bytes.
fn field(path: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let value =
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix("kB")?.trim().parse().ok());
    value
        .map(|kilobytes: u64| kilobytes * 1024)
        .ok_or_else(|| io::Error::other(format!("{path} has no {name}")))
}
