//! How times and ranges of ports are written.

use std::{ops::RangeInclusive, time::Duration};

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// `10m`, `12h`, `250ms`: one number and one unit.
pub fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("a time is a number and ms, s, m, h or d, as in \"10m\", not {text:?}");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit.trim());
    let (number, (_, scale)) = number.parse::<u64>().ok().zip(unit).ok_or_else(wrong)?;
    let millis = number.checked_mul(*scale).ok_or_else(wrong)?;
    Ok(Duration::from_millis(millis))
}

/// The shortest way to write a time.
pub fn show_duration(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let fits = |scale: &u64| millis > 0 && millis.is_multiple_of(*scale);
    let unit = UNITS.iter().rev().find(|(_, scale)| fits(scale));
    let (name, scale) = unit.unwrap_or(&("s", 1000));
    format!("{}{name}", millis / scale)
}

/// `20000-20099`, `443`, or `none`.
#[allow(
    clippy::reversed_empty_ranges,
    reason = "that is how no port is written"
)]
pub fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    if text == "none" {
        return Ok(1..=0);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(first..=last),
        _ => Err(format!(
            "a port range is written FIRST-LAST, as in 20000-20099, or none; not {text:?}"
        )),
    }
}

pub fn show_port_range(range: &RangeInclusive<u16>) -> String {
    if range.is_empty() {
        "none".into()
    } else {
        format!("{}-{}", range.start(), range.end())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_checked() {
        assert_eq!(time("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(time("250 ms"), Ok(Duration::from_millis(250)));
        for bad in [
            "",
            "10",
            "m",
            "-1s",
            "1.5h",
            "99999999999999999999d",
            "1 year",
        ] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_are_checked() {
        assert_eq!(port_range("20000-20099"), Ok(20000..=20099));
        assert_eq!(port_range("7"), Ok(7..=7));
        assert!(port_range("none").unwrap().is_empty());
        for bad in ["", "2-1", "0-5", "1-70000", "a-b"] {
            assert!(port_range(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(millis in 0..u64::MAX / 2, first in 1..u16::MAX, more in 0..u16::MAX) {
            let shown = show_duration(Duration::from_millis(millis));
            prop_assert_eq!(time(&shown), Ok(Duration::from_millis(millis)));
            let range = first..=first.saturating_add(more);
            prop_assert_eq!(port_range(&show_port_range(&range)), Ok(range));
        }
    }
}
