//! The process itself: processor time, memory, file descriptors, tasks. Three small files of /proc/self are read when
//! somebody asks; where there is no /proc (outside Linux) these figures are left out.

use std::{
    fmt,
    fs::{metadata, read_dir, read_to_string},
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::DescriptorEncoder,
    metrics::info::Info,
    registry::{Registry, Unit},
};

use super::figures::{Figures, whole};

/// The unit of times in /proc/self/stat: the kernel shows them in hundredths to every program (USER_HZ).
const TICKS_A_SECOND: f64 = 100.0;
/// Where the kernel does not say how many descriptors are open, they are counted up to here.
const MAX_COUNTED: usize = 10_000;

pub(super) fn register(registry: &mut Registry) {
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    registry.register("build", "The version that runs", Info::new(version));
    registry.register_collector(Box::new(Process {
        started: seconds_since_1970(SystemTime::now()),
    }));
}

#[derive(Debug)]
struct Process {
    started: f64,
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut figures = Figures::new(encoder, "process");
        figures.gauge(
            "start_time",
            "When the process began, since 1970",
            Some(&Unit::Seconds),
            self.started,
        )?;
        if let Some(seconds) = cpu_seconds(&read("/proc/self/stat")) {
            figures.counter(
                "cpu",
                "Processor time, of the user and of the system",
                Some(&Unit::Seconds),
                seconds,
            )?;
        }
        let status = read("/proc/self/status");
        for (name, help, field) in [
            ("resident_memory", "Memory in use", "VmRSS:"),
            (
                "peak_resident_memory",
                "The most memory that was in use",
                "VmHWM:",
            ),
        ] {
            if let Some(kib) = number_after(&status, field) {
                figures.gauge(name, help, Some(&Unit::Bytes), whole(kib * 1024))?;
            }
        }
        if let Some(threads) = number_after(&status, "Threads:") {
            figures.gauge("threads", "Threads now", None, whole(threads))?;
        }
        if let Some(open) = open_descriptors() {
            figures.gauge("open_fds", "File descriptors now", None, whole(open))?;
        }
        if let Some(most) = number_after(&read("/proc/self/limits"), "Max open files") {
            figures.gauge(
                "max_fds",
                "File descriptors that the process may have",
                None,
                whole(most),
            )?;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let runtime = runtime.metrics();
            figures.gauge(
                "tasks",
                "Tasks of the runtime now",
                None,
                whole(runtime.num_alive_tasks()),
            )?;
            figures.gauge(
                "task_queue",
                "Tasks that wait for a thread of the runtime",
                None,
                whole(runtime.global_queue_depth()),
            )?;
        }
        Ok(())
    }
}

fn read(path: &str) -> String {
    read_to_string(path).unwrap_or_default()
}

fn seconds_since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// The name in parentheses may hold anything, so the fields are counted from its end: utime and stime are 14 and 15.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_A_SECOND)
}

fn number_after(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Linux 6.2 and newer say it without a look at each.
fn open_descriptors() -> Option<u64> {
    const PATH: &str = "/proc/self/fd";
    match metadata(PATH).ok()?.len() {
        0 => read_dir(PATH)
            .ok()
            .map(|entries| entries.take(MAX_COUNTED).count() as u64),
        known => Some(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_parenthesis_does_not_shift_the_fields() {
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("nonsense"), None);
    }

    #[test]
    fn numbers_stand_behind_their_names() {
        let status = "Name:\tadit\nVmRSS:\t   12 kB\nThreads:\t3\n";
        assert_eq!(number_after(status, "VmRSS:"), Some(12));
        assert_eq!(number_after(status, "VmHWM:"), None);
        let limits =
            "Limit Soft Hard\nMax open files            1024                 4096   files\n";
        assert_eq!(number_after(limits, "Max open files"), Some(1024));
        assert_eq!(
            number_after("Max open files unlimited", "Max open files"),
            None
        );
    }
}
