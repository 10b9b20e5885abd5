//! The tables of measured values: medians, with the ratio to two chained nginx and the least and greatest sample.

use std::fmt::Write;

use super::{Samples, median};
use crate::sample::Sample;

/// What ratios are to.
pub(super) const BASE: &str = "nginx-x2";
const BULK: [(&str, &str); 4] = [
    ("down1", "down, 1 stream"),
    ("up1", "up, 1 stream"),
    ("down16", "down, 16 streams"),
    ("up16", "up, 16 streams"),
];
const RATES: [(&str, &str); 4] = [
    ("requests1", "keep-alive, 1 connection"),
    ("requests64", "keep-alive, 64"),
    ("connections1", "new connections, 1 at a time"),
    ("connections32", "new connections, 32"),
];
const MEMORY: [(&str, &str); 4] = [
    ("idle-edge", "per idle stream, edge"),
    ("idle-agent", "per idle stream, agent"),
    ("agent-edge", "per idle agent, edge"),
    ("agent-agent", "per idle session in one agent process"),
];

pub(super) fn write(samples: &Samples) -> String {
    let mut text = heading(samples);
    text += "\n### Throughput, Gbit/s (ratio to nginx-x2; least–greatest)\n\n";
    text += &grid(samples, &BULK, |row, metric| cell(samples, row, metric, 1));
    text += "\n### Rates, per second (ratio to nginx-x2; least–greatest)\n\n";
    text += &grid(samples, &RATES, |row, metric| cell(samples, row, metric, 0));
    text += "\n### Latency, p50 / p99, microseconds\n\n";
    text += &grid(samples, &RATES, |row, metric| latency(samples, row, metric));
    text +=
        "\n### CPU of bulk transfers, seconds per GB: whole path (edge, agent, load, origin)\n\n";
    text += &grid(samples, &BULK, |row, metric| cost(samples, row, metric));
    text += "\n### CPU of a request or connection, microseconds: whole path (edge, agent, load, origin)\n\n";
    text += &grid(samples, &RATES, |row, metric| cost(samples, row, metric));
    text += "\n### From the agent's start to the first 200, milliseconds (least–greatest)\n\n";
    text += &grid(samples, &[("first", "milliseconds")], |row, metric| {
        cell(samples, row, metric, 1)
    });
    text += "\n### User memory, bytes (least–greatest)\n\n";
    text += &grid(samples, &MEMORY, |row, metric| memory(samples, row, metric));
    text
}

fn heading(samples: &Samples) -> String {
    let mut stamps: Vec<_> = samples
        .all()
        .map(|sample| (&sample.machine, &sample.commit, &sample.command))
        .collect();
    stamps.sort();
    stamps.dedup();
    let (first, last) = samples.all().fold((u64::MAX, 0), |(first, last), sample| {
        (first.min(sample.time), last.max(sample.time))
    });
    let mut text = format!("Measured from {} to {} UTC:\n\n", date(first), date(last));
    for (machine, commit, command) in stamps {
        let _ = writeln!(
            text,
            "- `benches/{command}` at commit {commit} on {machine}"
        );
    }
    let busy = samples
        .all()
        .filter(|sample| sample.measured.others > BUSY)
        .count();
    let all = samples.all().count();
    let _ = writeln!(
        text,
        "\nOthers used more than {BUSY} cores during {busy} of {all} samples."
    );
    text
}

/// From here on a sample's absolute value says less.
const BUSY: f64 = 0.35;

/// A day and a minute from seconds since 1970 (the civil calendar of Howard Hinnant's `days_from_civil`, turned round).
pub(super) fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}")
}

/// One line for each row that has anything to say.
fn grid(
    samples: &Samples,
    columns: &[(&str, &str)],
    cell: impl Fn(&str, &str) -> Option<String>,
) -> String {
    let titles: Vec<&str> = columns.iter().map(|(_, title)| *title).collect();
    let mut text = format!(
        "| row | {} |\n|---|{}\n",
        titles.join(" | "),
        "---|".repeat(columns.len())
    );
    for row in &samples.rows {
        let cells: Vec<_> = columns
            .iter()
            .map(|(metric, _)| cell(row, metric))
            .collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells
                .into_iter()
                .map(|cell| cell.unwrap_or_else(|| "-".into()));
            let cells: Vec<String> = cells.collect();
            let _ = writeln!(text, "| {row} | {} |", cells.join(" | "));
        }
    }
    text
}

fn cell(samples: &Samples, row: &str, metric: &str, digits: usize) -> Option<String> {
    let value = samples.median(row, metric, value)?;
    let ratio =
        ratio(samples, row, metric).map_or_else(String::new, |ratio| format!("{ratio:.2}; "));
    let (least, greatest) = range(samples.of(row, metric));
    Some(format!(
        "{value:.digits$} ({ratio}{least:.digits$}–{greatest:.digits$})"
    ))
}

/// The median of the ratios within each round of each run, so that a machine that changes its speed does not matter.
pub(super) fn ratio(samples: &Samples, row: &str, metric: &str) -> Option<f64> {
    let base = samples.of(BASE, metric);
    let ratios = samples.of(row, metric).iter().filter_map(|sample| {
        let beside = base.iter().filter(|other| other.round == sample.round);
        let nearest = beside.min_by_key(|other| other.time.abs_diff(sample.time))?;
        Some(sample.measured.value / nearest.measured.value)
    });
    median(ratios.collect())
}

fn latency(samples: &Samples, row: &str, metric: &str) -> Option<String> {
    let p50 = samples.median(row, metric, |sample| sample.measured.p50_us)?;
    let p99 = samples.median(row, metric, |sample| sample.measured.p99_us)?;
    Some(format!("{p50:.0} / {p99:.0}"))
}

/// Seconds per GB of bytes, or microseconds per request.
fn cost(samples: &Samples, row: &str, metric: &str) -> Option<String> {
    let bulk = BULK.iter().any(|(name, _)| *name == metric);
    let (scale, digits) = if bulk { (1e9, 2) } else { (1e6, 0) };
    let of = |role: Option<&str>| {
        samples.median(row, metric, |sample| {
            let used = sample.measured.cpu.iter();
            let wanted = used.filter(|(name, _)| role.is_none_or(|role| role == name.as_str()));
            let seconds: f64 = wanted.map(|(_, cpu)| cpu.total()).sum();
            Some(seconds * scale / sample.measured.count as f64)
        })
    };
    let parts = ["edge", "agent", "load", "origin"].map(|role| {
        let part = of(Some(role)).filter(|seconds| *seconds > 0.0);
        part.map_or_else(|| "-".into(), |seconds| format!("{seconds:.digits$}"))
    });
    Some(format!("{:.digits$} ({})", of(None)?, parts.join(", ")))
}

fn memory(samples: &Samples, row: &str, metric: &str) -> Option<String> {
    let bytes = samples.median(row, metric, value)?;
    let (least, greatest) = range(samples.of(row, metric));
    Some(format!("{bytes:.0} ({least:.0}–{greatest:.0})"))
}

pub(super) fn value(sample: &Sample) -> Option<f64> {
    Some(sample.measured.value)
}

fn range(samples: &[Sample]) -> (f64, f64) {
    let values = samples.iter().map(|sample| sample.measured.value);
    values.fold((f64::INFINITY, 0.0), |(least, greatest), value| {
        (least.min(value), greatest.max(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00");
        assert_eq!(date(951_782_400), "2000-02-29 00:00");
        assert_eq!(date(1_795_645_739), "2026-11-25 22:28");
    }
}
