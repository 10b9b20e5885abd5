//! Host names as they are compared: lower-case A-labels (RFC 5890, section 2.3.2.1), no trailing dot.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Octets of a name in text form (RFC 1035, section 2.3.4, less length bytes and root).
const MAX_NAME: usize = 253;
/// Octets of a label (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostnameError {
    #[error("a host name cannot be empty")]
    Empty,
    #[error("a host name has at most 253 characters, this one has {0}")]
    TooLong(usize),
    #[error("a label of a host name has 1 to 63 characters: {0:?}")]
    LabelLength(String),
    #[error("a label is made of a-z, 0-9 and inner '-', not {0:?} (write other scripts as xn--…)")]
    LabelCharacter(String),
    #[error("an IP address is not a host name")]
    Address,
    #[error("'*' may only stand as the whole first label, as in *.example.com")]
    Wildcard,
}

/// One label, as in `api` of `api.example.com`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(Arc<str>);

/// An exact host name of one or more labels.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hostname(Arc<str>);

/// An exact name, or `*.name`, which stands for exactly one label in place of the star (RFC 6125, section 6.4.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostPattern {
    Exact(Hostname),
    Wildcard(Hostname),
}

impl Label {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Hostname {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `example.com` of `api.example.com`; none where one label is left.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, rest)| Self(rest.into()))
    }

    /// `label.self`, unless that is too long.
    pub fn child(&self, label: &Label) -> Result<Self, HostnameError> {
        format!("{}.{}", label.0, self.0).parse()
    }

    /// True for `zone` itself and every name below it, at a label boundary.
    pub fn is_within(&self, zone: &Self) -> bool {
        self.0
            .strip_suffix(zone.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }
}

impl HostPattern {
    pub fn matches(&self, name: &Hostname) -> bool {
        match self {
            Self::Exact(own) => own == name,
            Self::Wildcard(base) => name
                .as_str()
                .split_once('.')
                .is_some_and(|(_, parent)| parent == base.as_str()),
        }
    }

    /// True when every name that `other` matches is matched by `self`.
    pub fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Exact(name) => self.matches(name),
            Self::Wildcard(_) => self == other,
        }
    }

    /// The exact name, or the part behind `*.`.
    pub fn base(&self) -> &Hostname {
        match self {
            Self::Exact(name) | Self::Wildcard(name) => name,
        }
    }

    /// The patterns that may match `name`, the one that wins first: exact beats wildcard.
    pub fn candidates(name: &Hostname) -> impl Iterator<Item = Self> + use<> {
        [
            Some(Self::Exact(name.clone())),
            name.parent().map(Self::Wildcard),
        ]
        .into_iter()
        .flatten()
    }
}

fn check_label(label: &str) -> Result<(), HostnameError> {
    if label.is_empty() || label.len() > MAX_LABEL {
        return Err(HostnameError::LabelLength(
            label.chars().take(MAX_LABEL).collect(),
        ));
    }
    let inner = label
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !inner || label.starts_with('-') || label.ends_with('-') {
        return Err(HostnameError::LabelCharacter(label.into()));
    }
    Ok(())
}

impl FromStr for Label {
    type Err = HostnameError;

    fn from_str(text: &str) -> Result<Self, HostnameError> {
        let text = text.to_ascii_lowercase();
        check_label(&text)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for Hostname {
    type Err = HostnameError;

    /// Upper case is folded and one trailing dot (the absolute form) is taken off.
    fn from_str(text: &str) -> Result<Self, HostnameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(HostnameError::Empty);
        }
        if text.len() > MAX_NAME {
            return Err(HostnameError::TooLong(text.len()));
        }
        let text = text.to_ascii_lowercase();
        text.split('.').try_for_each(check_label)?;
        // A last label of digits only would be read as an IPv4 address (WHATWG URL, "ends in a number").
        if text
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
        {
            return Err(HostnameError::Address);
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for HostPattern {
    type Err = HostnameError;

    fn from_str(text: &str) -> Result<Self, HostnameError> {
        match text.strip_prefix("*.") {
            Some(base) if base.contains('*') => Err(HostnameError::Wildcard),
            Some(base) => base.parse().map(Self::Wildcard),
            None if text.contains('*') => Err(HostnameError::Wildcard),
            None => text.parse().map(Self::Exact),
        }
    }
}

macro_rules! text_conversions {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = HostnameError;

            fn try_from(text: String) -> Result<Self, HostnameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}
text_conversions!(Label, Hostname, HostPattern);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Wildcard(base) => write!(f, "*.{base}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(text: &str) -> Hostname {
        text.parse().unwrap()
    }

    #[test]
    fn a_wildcard_stands_for_exactly_one_label() {
        let pattern: HostPattern = "*.a.example".parse().unwrap();
        assert!(pattern.matches(&host("x.a.example")));
        for other in ["a.example", "x.y.a.example", "xa.example", "example"] {
            assert!(!pattern.matches(&host(other)), "{other}");
        }
    }

    #[test]
    fn exact_is_tried_before_wildcard() {
        let found: Vec<_> = HostPattern::candidates(&host("x.a.example"))
            .map(|p| p.to_string())
            .collect();
        assert_eq!(found, ["x.a.example", "*.a.example"]);
    }

    #[test]
    fn within_needs_a_label_boundary() {
        let zone = host("a.example");
        assert!(host("x.a.example").is_within(&zone) && zone.is_within(&zone));
        assert!(!host("xa.example").is_within(&zone));
    }

    #[test]
    fn case_and_trailing_dot_fold() {
        assert_eq!(host("API.Example.COM."), host("api.example.com"));
    }

    #[test]
    fn what_is_not_a_host_name_is_refused() {
        let long = format!("{}.example", "a".repeat(64));
        let longest = ["a"; 200].join(".");
        for bad in [
            "",
            ".",
            "a..b",
            "-a.b",
            "a-.b",
            "a_b.c",
            "ä.example",
            "127.0.0.1",
            "a b",
            "*.x",
            &long,
            &longest,
        ] {
            assert!(bad.parse::<Hostname>().is_err(), "{bad:?}");
        }
        for bad in ["*", "*.*.x", "a.*.x", "x*.a"] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_prints_and_parses_again(text in ".{0,80}") {
            if let Ok(name) = text.parse::<Hostname>() {
                prop_assert_eq!(name.to_string().parse::<Hostname>().unwrap(), name);
            }
            if let Ok(pattern) = text.parse::<HostPattern>() {
                prop_assert_eq!(pattern.to_string().parse::<HostPattern>().unwrap(), pattern);
            }
        }

        #[test]
        fn a_pattern_matches_only_below_its_base(name in "[a-c]{1,2}(\\.[a-c]{1,2}){0,4}", base in "[a-c]{1,2}(\\.[a-c]{1,2}){0,3}") {
            let (name, base) = (host(&name), host(&base));
            let expected = name.parent() == Some(base.clone());
            prop_assert_eq!(HostPattern::Wildcard(base).matches(&name), expected);
        }
    }
}
