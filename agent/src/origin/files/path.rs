//! Which paths of a URL may lead to a file.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
};

/// The relative path that a URL's path names; none where a part of it is hidden, leads upwards or cannot be a file name.
pub(super) fn visible(url_path: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for segment in url_path.split('/').filter(|s| !s.is_empty()) {
        let name = decode(segment)?;
        if name.contains(&b'/') || name.contains(&0) || is_hidden(&name) {
            return None;
        }
        path.push(OsString::from_vec(name));
    }
    Some(path)
}

/// True when no part of a relative path is hidden.
pub(super) fn is_visible(path: &Path) -> bool {
    path.components().all(|part| match part {
        Component::Normal(name) => !is_hidden(name.as_bytes()),
        _ => false,
    })
}

/// `.well-known` is meant for the public (RFC 8615).
pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".") && name != b".well-known"
}

fn decode(segment: &str) -> Option<Vec<u8>> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hidden_and_upward_paths_lead_nowhere() {
        assert_eq!(visible("/a//b%20c/"), Some("a/b c".into()));
        assert_eq!(visible("/.well-known/x"), Some(".well-known/x".into()));
        for bad in [
            "/.env",
            "/a/.git/x",
            "/..",
            "/%2e%2e/x",
            "/.",
            "/%2Eenv",
            "/a%2fb",
            "/a%00",
            "/%",
            "/%4",
            "/%zz",
        ] {
            assert_eq!(visible(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_path_leads_out(url_path in "(/|\\.|%2e|%2f|%|a|\\\\){0,20}") {
            if let Some(path) = visible(&url_path) {
                prop_assert!(path.components().all(|c| matches!(c, Component::Normal(_))));
                prop_assert!(is_visible(&path));
            }
        }
    }
}
