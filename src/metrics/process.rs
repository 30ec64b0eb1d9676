//! Figures of the process, under the names that all client libraries of Prometheus use.

use std::fs;

use super::text::{Kind, Writer};

/// The number of clock ticks in a second (`USER_HZ`), which Linux has fixed for programs.
const TICKS: f64 = 100.0;

/// The size of a page in bytes, on the architectures with a fixed one.
const PAGE: u64 = 4096;

/// The fields of `/proc/self/stat`.
struct Stat {
    /// The processor time in user mode and in the kernel, in ticks.
    ticks: u64,
    /// The start, in ticks since the boot.
    start: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// Writes the families. Where there is no `/proc` only the limit of files is known.
pub(super) fn encode(writer: &mut Writer) {
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(parse) {
        encode_stat(&stat, writer);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // One of them is the directory itself.
        let open = files.count().saturating_sub(1);
        writer.family("process_open_fds", Kind::Gauge, "Open files.").sample(&[], open);
    }
    if let Ok((files, _)) = rlimit::Resource::NOFILE.get() {
        writer.family("process_max_fds", Kind::Gauge, "Files that may be open.").sample(&[], files);
    }
}

fn encode_stat(stat: &Stat, writer: &mut Writer) {
    let seconds = stat.ticks as f64 / TICKS;
    let help = "Processor time in user mode and in the kernel, in seconds.";
    writer.family("process_cpu_seconds", Kind::Counter, help).sample(&[], seconds);
    let help = "Memory that is in use.";
    let resident = stat.resident_pages * PAGE;
    writer.family("process_resident_memory_bytes", Kind::Gauge, help).sample(&[], resident);
    let help = "Memory that is mapped.";
    writer.family("process_virtual_memory_bytes", Kind::Gauge, help).sample(&[], stat.virtual_bytes);
    if let Some(boot) = boot_time() {
        let help = "Start of the process, in seconds since 1970.";
        let start = boot + stat.start as f64 / TICKS;
        writer.family("process_start_time_seconds", Kind::Gauge, help).sample(&[], start);
    }
}

/// Reads `/proc/self/stat`. The name of the program, in parentheses, may contain anything.
fn parse(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // proc(5) counts from 1, and the first two fields are the id and the name.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        ticks: field(14)? + field(15)?,
        start: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

/// Returns the time of the boot, in seconds since 1970.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_metrics_are_read_from_the_fields_of_proc() {
        let text = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 17 18 1234 4096 2 99";
        let stat = parse(text).unwrap();
        assert_eq!((stat.ticks, stat.start, stat.virtual_bytes, stat.resident_pages), (200, 1234, 4096, 2));
        assert!(parse("7 (a) S 1 2").is_none());
    }
}
