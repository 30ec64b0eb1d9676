//! What a process has used, by the kernel's own books.

use std::{fs, io, time::Duration};

/// The length of a tick in `/proc/<pid>/stat`: `USER_HZ` is 100 on every Linux that Rust targets.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of a process so far.
///
/// From `schedstat` of its threads, in nanoseconds; where the kernel keeps none, from `stat`, in ticks of 10 ms. Threads that
/// have ended are missing from the first; none of the sides ends threads while it is measured.
pub(crate) fn cpu(pid: u32) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        let nanos = text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0);
        sum += Duration::from_nanos(nanos);
    }
    if sum > Duration::ZERO { Ok(sum) } else { ticks(pid) }
}

fn ticks(pid: u32) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in brackets and may hold spaces; utime and stime are the 14th and 15th.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks: u32 = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u32>().ok()).sum();
    Ok(TICK * ticks)
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident, pages shared with others included.
    pub(crate) rss: u64,
    /// Resident, shared pages divided among those who share them.
    pub(crate) pss: u64,
}

/// Returns the memory of a process now.
pub(crate) fn memory(pid: u32) -> io::Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    Ok(Memory { rss: kilobytes(&text, "Rss:") * 1024, pss: kilobytes(&text, "Pss:") * 1024 })
}

/// Returns the most memory that a process ever had resident, in bytes.
pub(crate) fn peak(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(kilobytes(&text, "VmHWM:") * 1024)
}

/// The number after `name` in a file of `name   123 kB` lines.
pub(crate) fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
