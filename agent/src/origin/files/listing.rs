//! The page that stands for a directory without index.html.

use std::{fmt::Write, io, os::unix::ffi::OsStrExt, path::Path};

use http::{HeaderValue, Response, header};

use super::{Body, path, whole};
use crate::bounds::{self, Bound};

/// Entries shown; a larger directory is cut and says so.
const MAX_ENTRIES: usize = 10_000;

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
<style>:root{color-scheme:light dark;font:16px/1.6 system-ui,sans-serif}body{max-width:48em;margin:2em auto;padding:0 1em}\
li{list-style:none}a{text-decoration:none}a:hover{text-decoration:underline}</style>";

struct Entry {
    name: Vec<u8>,
    is_directory: bool,
}

pub(super) async fn page(directory: &Path, url_path: &str) -> io::Result<Response<Body>> {
    let directory = directory.to_owned();
    let read = tokio::task::spawn_blocking(move || entries(&directory));
    let (entries, cut) = read.await.map_err(io::Error::other)??;
    let mut response = Response::new(whole(render(&entries, cut, url_path)));
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Directories first, then by name; and whether there were more.
fn entries(directory: &Path) -> io::Result<(Vec<Entry>, bool)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().as_bytes().to_vec();
        if path::is_hidden(&name) {
            continue;
        }
        if found.len() == MAX_ENTRIES {
            bounds::hit(Bound::Listing);
            return Ok((sorted(found), true));
        }
        let is_directory = entry.path().is_dir();
        found.push(Entry { name, is_directory });
    }
    Ok((sorted(found), false))
}

fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| (!a.is_directory, &a.name).cmp(&(!b.is_directory, &b.name)));
    entries
}

fn render(entries: &[Entry], cut: bool, url_path: &str) -> String {
    let title = escape(url_path);
    let mut page = format!("{HEAD}<title>{title}</title><h1>{title}</h1><ul>");
    if !url_path.trim_matches('/').is_empty() {
        page.push_str("<li><a href=\"../\">../</a>");
    }
    for entry in entries {
        let slash = if entry.is_directory { "/" } else { "" };
        let (link, name) = (
            encode(&entry.name),
            escape(&String::from_utf8_lossy(&entry.name)),
        );
        // "./" keeps a name such as "a:b" from being read as a scheme.
        let _ = write!(page, "<li><a href=\"./{link}{slash}\">{name}{slash}</a>");
    }
    page.push_str("</ul>");
    if cut {
        let _ = write!(page, "<p>and more than these {MAX_ENTRIES}</p>");
    }
    page
}

fn encode(name: &[u8]) -> String {
    let mut encoded = String::with_capacity(name.len());
    for &byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_do_no_harm() {
        let entry = |name: &[u8], is_directory| Entry {
            name: name.into(),
            is_directory,
        };
        let entries = [
            entry(b"<b>\"&", false),
            entry(b"a:b", true),
            entry(&[0xff], false),
        ];
        let page = render(&sorted(entries.into()), true, "/<script>/");
        assert!(page.contains("<li><a href=\"./a%3Ab/\">a:b/</a><li><a href=\"./%3Cb%3E%22%26\">&lt;b&gt;&quot;&amp;</a>"));
        assert!(page.contains("./%FF") && page.contains("and more"));
        assert!(!page.contains("<script>") && page.contains("../"));
    }
}
