//! The edge's own pages: small, dark and light, and with nothing to load.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
};
use serde::Serialize;

use super::Fault;

/// The page stands under the origin's name, so it must be able to do nothing there.
pub(super) const PROTECTION: [(HeaderName, &str); 3] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
];

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.5 system-ui,sans-serif;\
background:light-dark(#f6f5f2,#16171a);color:light-dark(#22242a,#e6e6e3)}\
main{max-width:34rem;padding:2rem}\
.status{font-size:.9rem;letter-spacing:.08em;color:light-dark(#8a5a12,#e0a955)}\
h1{font-size:1.6rem;line-height:1.25;margin:.4rem 0 1rem}\
footer{margin-top:2rem;font-size:.8rem;color:light-dark(#6a6c72,#9a9ca2)}\
code{font-family:ui-monospace,monospace}";

#[derive(Serialize)]
struct Json<'a> {
    error: &'a str,
    status: u16,
    message: &'a str,
    advice: &'a str,
    request: &'a str,
}

/// The request id is ours, and the rest is constant: there is nothing to escape.
pub(super) fn html(fault: Fault, id: &str) -> String {
    let (status, code) = (fault.status(), fault.code());
    let (title, advice) = (fault.title(), fault.advice());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n<main>\n<div class=\"status\">{number} {code}</div>\n\
         <h1>{title}</h1>\n<p>{advice}</p>\n\
         <footer>adit edge · request <code>{id}</code></footer>\n</main>\n</html>\n",
        number = status.as_u16(),
    )
}

pub(super) fn json(fault: Fault, id: &str) -> String {
    let page = Json {
        error: fault.code(),
        status: fault.status().as_u16(),
        message: fault.title(),
        advice: fault.advice(),
        request: id,
    };
    // Strings and a number always serialise.
    serde_json::to_string(&page).unwrap_or_default() + "\n"
}

/// Whether Accept puts JSON before HTML (RFC 9110, section 12.5.1). Without a word about either, a person is assumed.
pub(super) fn prefers_json(headers: &HeaderMap) -> bool {
    let (mut json, mut html) = (0, 0);
    for member in headers.get_all(ACCEPT).iter().flat_map(members) {
        let (kind, weight) = parse(&member);
        match kind {
            "text/html" | "application/xhtml+xml" => html = html.max(weight),
            "application/json" => json = json.max(weight),
            _ if kind.ends_with("+json") => json = json.max(weight),
            _ => {}
        }
    }
    json > html
}

fn members(value: &HeaderValue) -> Vec<String> {
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    text.split(',')
        .map(|member| member.trim().to_owned())
        .collect()
}

/// Kind and weight in thousandths.
fn parse(member: &str) -> (&str, u16) {
    let mut parts = member.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let weight = parts
        .find_map(|part| part.strip_prefix("q="))
        .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0));
    (kind, (weight * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_only_for_those_who_prefer_it() {
        for (accept, json) in [
            ("application/json", true),
            ("application/problem+json, */*", true),
            ("text/html;q=0.5, application/json", true),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("application/json;q=0.5, text/html", false),
            ("application/json;q=0", false),
            ("*/*", false),
            ("application/json;q=x", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(prefers_json(&headers), json, "{accept}");
        }
    }

    #[test]
    fn a_page_loads_nothing_and_says_all() {
        let page = html(Fault::Offline, "req_1");
        assert!(page.contains("503 offline") && page.contains("req_1"));
        for outside in ["http:", "https:", "src=", "url(", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
        let json: serde_json::Value = serde_json::from_str(&json(Fault::Offline, "req_1")).unwrap();
        assert_eq!(
            (&json["error"], &json["status"]),
            (&"offline".into(), &503.into())
        );
    }
}
