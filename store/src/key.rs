//! Keys are checked paths: a known root, then segments, so that no key can be spelled in two ways or reach outside its root.

use std::{fmt, str::FromStr, sync::Arc};

/// The longest key in bytes: a host name of 253 with room for its folder; etcd has no limit of its own.
pub const MAX_KEY: usize = 512;

/// Who may read and write what: etcd's access rules and the envelope rule go by the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Root {
    /// Edges and DNS read it, with one watch.
    Public,
    /// Only the control plane.
    Account,
    /// Only the control plane; what was changed by whom. A root of its own, because it is long and nobody but its readers
    /// wants it in a list or a watch.
    Audit,
    /// Only the control plane, and every value sealed in an envelope.
    Secret,
}

/// The name of one value, as in `public/edge/ams1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// A folder of keys, as in `public/edge/`; it always ends with a slash, so `public/edge/` never takes in `public/edges/x`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a key has at most {MAX_KEY} bytes, this one has {0}")]
    TooLong(usize),
    #[error("a key begins with public/, account/, audit/ or secret/")]
    Root,
    #[error("a key is made of segments that are not empty, with one slash between them")]
    Segment,
    #[error("a key is made of a-z, A-Z, 0-9, '-', '_', '.', '*' and ':'")]
    Character,
    #[error("a prefix ends with a slash")]
    NotAPrefix,
}

impl Root {
    /// In the order of their keys.
    pub const ALL: [Self; 4] = [Self::Account, Self::Audit, Self::Public, Self::Secret];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Account => "account",
            Self::Audit => "audit",
            Self::Secret => "secret",
        }
    }

    fn of(path: &str) -> Option<Self> {
        let (first, _) = path.split_once('/')?;
        Self::ALL.into_iter().find(|root| root.as_str() == first)
    }
}

impl Key {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn root(&self) -> Root {
        // A key is only made from a checked path; the strictest root stands in for what cannot be.
        Root::of(&self.0).unwrap_or(Root::Secret)
    }

    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// For `layout`, whose parts are checked types already.
    pub(crate) fn of_checked(path: String) -> Self {
        debug_assert!(check(&path).is_ok(), "{path}");
        Self(path.into())
    }
}

impl Prefix {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn contains(&self, key: &Key) -> bool {
        key.0.starts_with(&*self.0)
    }

    pub(crate) fn of_checked(path: String) -> Self {
        debug_assert!(path.parse::<Self>().is_ok(), "{path}");
        Self(path.into())
    }
}

fn check(path: &str) -> Result<(), KeyError> {
    if path.len() > MAX_KEY {
        return Err(KeyError::TooLong(path.len()));
    }
    Root::of(path).ok_or(KeyError::Root)?;
    if path.split('/').any(str::is_empty) {
        return Err(KeyError::Segment);
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.*:/".contains(&b);
    if path.bytes().all(allowed) {
        Ok(())
    } else {
        Err(KeyError::Character)
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(path: &str) -> Result<Self, KeyError> {
        check(path)?;
        Ok(Self(path.into()))
    }
}

impl FromStr for Prefix {
    type Err = KeyError;

    fn from_str(path: &str) -> Result<Self, KeyError> {
        let folder = path.strip_suffix('/').ok_or(KeyError::NotAPrefix)?;
        if Root::ALL.iter().all(|root| root.as_str() != folder) {
            check(folder)?;
        }
        Ok(Self(path.into()))
    }
}

impl From<&Self> for Key {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

impl From<Root> for Prefix {
    fn from(root: Root) -> Self {
        Self(format!("{}/", root.as_str()).into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_a_path_is_refused() {
        let long = format!("public/{}", "x".repeat(MAX_KEY));
        for bad in [
            "",
            "/",
            "public",
            "public/",
            "/public/x",
            "public//x",
            "public/x/",
            "other/x",
            "publi/x",
            "public/ä",
            "public/a b",
            "public/a\0",
            &long,
        ] {
            assert!(bad.parse::<Key>().is_err(), "{bad:?}");
        }
        for bad in ["", "/", "public", "public/x", "public//", "other/"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_prefix_holds_whole_segments_only() {
        let prefix: Prefix = "public/edge/".parse().unwrap();
        assert!(prefix.contains(&"public/edge/x".parse().unwrap()));
        assert!(!prefix.contains(&"public/edges/x".parse().unwrap()));
        assert_eq!(
            Prefix::from(Root::Public).as_str().parse(),
            Ok(Prefix::from(Root::Public))
        );
    }

    proptest! {
        #[test]
        fn what_parses_prints_the_same(text in ".{0,40}|(public|secret|account|audit)/[a-z/*.:-]{0,30}") {
            if let Ok(key) = text.parse::<Key>() {
                prop_assert_eq!(key.as_str(), &text);
                prop_assert_eq!(key.segments().next(), Some(key.root().as_str()));
            }
            if let Ok(prefix) = text.parse::<Prefix>() {
                prop_assert_eq!(prefix.as_str(), &text);
            }
        }
    }
}
