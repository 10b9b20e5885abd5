//! Lengths of time as people type them: `90`, `90s`, `10m`, `12h`, `7d`.

use std::time::Duration;

/// A number alone is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let refused = || "a length of time is a number with s, m, h or d, as in 90s or 12h".to_owned();
    let split = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let each = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(refused()),
    };
    let number: u64 = number.parse().map_err(|_| refused())?;
    number
        .checked_mul(each)
        .map(Duration::from_secs)
        .ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_and_none() {
        for (text, secs) in [
            ("90", 90),
            ("90s", 90),
            ("10m", 600),
            ("12h", 43_200),
            ("7d", 604_800),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        for bad in [
            "",
            "s",
            "1w",
            "-1s",
            "1.5h",
            "1 h",
            "99999999999999999999",
            "9999999999999999d",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
