//! Which etcd it is: refused, taken with care, or trusted with everything. docs/decisions says why these versions.

use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u16,
    minor: u16,
    patch: u16,
}

/// What a watch can make of progress that it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It comes after every event before it, so it can be believed (etcd 15220 and 17557 are mended).
    InOrder,
    /// It may overtake events (etcd 15220), so it only shows that the member lives. What comes by itself, as often as the member's
    /// `--experimental-watch-progress-notify-interval` says, is in order.
    Alive,
    /// It may never come for a watch without events (etcd 17557), so it is not asked for.
    Never,
}

const fn version(major: u16, minor: u16, patch: u16) -> Version {
    Version {
        major,
        minor,
        patch,
    }
}

/// The oldest that the tests run against (Debian 12).
const OLDEST: Version = version(3, 4, 23);
/// 3.5.0 to 3.5.5 can lose or corrupt data when they crash.
const UNSOUND: (Version, Version) = (version(3, 5, 0), version(3, 5, 6));

impl Version {
    /// Why this version is not used, if it is not.
    pub(super) fn refusal(self) -> Option<String> {
        let (first, mended) = UNSOUND;
        if self < OLDEST {
            Some(format!(
                "etcd {self} is too old; use {OLDEST} or newer (docs/operations.md names the version to use)"
            ))
        } else if first <= self && self < mended {
            Some(format!(
                "etcd {self} can corrupt its data when it crashes; use {mended} or newer"
            ))
        } else {
            None
        }
    }

    pub(super) fn progress(self) -> Progress {
        let (raced, silent) = match (self.major, self.minor) {
            (3, 4) => (25, 31),
            (3, 5) => (8, 13),
            _ => return Progress::InOrder,
        };
        match self.patch {
            patch if patch < raced => Progress::Alive,
            patch if patch < silent => Progress::Never,
            _ => Progress::InOrder,
        }
    }
}

impl FromStr for Version {
    type Err = String;

    /// Takes `3.6.0-rc.1` for 3.6.0.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let parts: Result<Vec<u16>, _> = numbers.split('.').map(str::parse).collect();
        match parts.as_deref() {
            Ok([major, minor, patch]) => Ok(version(*major, *minor, *patch)),
            _ => Err(format!("{text:?} is no version of etcd")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn old_and_unsound_versions_are_refused() {
        for refused in ["2.3.8", "3.3.27", "3.4.22", "3.5.0", "3.5.5"] {
            assert!(of(refused).refusal().is_some(), "{refused}");
        }
        for used in ["3.4.23", "3.4.44", "3.5.6", "3.6.0-rc.1", "3.7.1", "4.0.0"] {
            assert_eq!(of(used).refusal(), None, "{used}");
        }
        assert!("3.4".parse::<Version>().is_err() && "".parse::<Version>().is_err());
    }

    #[test]
    fn progress_is_believed_where_it_is_in_order() {
        for (text, progress) in [
            ("3.4.23", Progress::Alive),
            ("3.4.25", Progress::Never),
            ("3.4.31", Progress::InOrder),
            ("3.5.7", Progress::Alive),
            ("3.5.12", Progress::Never),
            ("3.5.13", Progress::InOrder),
            ("3.6.0", Progress::InOrder),
        ] {
            assert_eq!(of(text).progress(), progress, "{text}");
        }
    }
}
