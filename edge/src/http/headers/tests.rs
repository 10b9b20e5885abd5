use http::{HeaderName, header::TRANSFER_ENCODING};
use proptest::prelude::*;

use super::*;

fn forwarding(host: &Authority) -> Forwarding<'_> {
    Forwarding {
        peer: "192.0.2.7:4711".parse().unwrap(),
        scheme: "https",
        host,
        default_port: 443,
        request_id: "req_1",
    }
}

fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    headers
}

fn forwarded(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = fields(pairs);
    let host = "a.example:4443".parse().unwrap();
    to_origin(&mut headers, Version::HTTP_11, &forwarding(&host));
    headers
}

#[test]
fn the_origin_learns_who_asked() {
    let headers = forwarded(&[]);
    for (name, value) in [
        (
            "forwarded",
            "for=192.0.2.7;host=\"a.example:4443\";proto=https",
        ),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "a.example:4443"),
        ("x-forwarded-port", "4443"),
        ("x-request-id", "req_1"),
    ] {
        assert_eq!(headers[name], value);
    }
    let host = "a.example".parse().unwrap();
    let mut headers = HeaderMap::new();
    let six = Forwarding {
        peer: "[2001:db8::1]:1".parse().unwrap(),
        ..forwarding(&host)
    };
    to_origin(&mut headers, Version::HTTP_2, &six);
    assert_eq!(
        headers["forwarded"],
        "for=\"[2001:db8::1]\";host=a.example;proto=https"
    );
    assert_eq!(
        (&headers["x-forwarded-for"], &headers["x-forwarded-port"]),
        (&"2001:db8::1".parse().unwrap(), &"443".parse().unwrap())
    );
}

#[test]
fn what_a_visitor_says_of_himself_is_gone() {
    let headers = forwarded(&[
        ("forwarded", "for=6.6.6.6"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x-forwarded-prefix", "6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("x-request-id", "6.6.6.6"),
    ]);
    assert!(
        headers.values().all(|value| value != "6.6.6.6"),
        "{headers:?}"
    );
    assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
}

#[test]
fn fields_of_one_connection_end_here() {
    let headers = forwarded(&[
        ("connection", "x-one, TE , X-Two"),
        ("connection", "upgrade, http2-settings"),
        ("x-one", "1"),
        ("x-two", "2"),
        ("x-kept", "3"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic xyz"),
        ("te", "trailers, deflate;q=0.5"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAAA"),
        ("trailer", "x-sum"),
    ]);
    let left: Vec<_> = headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|n| !n.contains("forwarded"))
        .collect();
    assert_eq!(left.len(), 4, "{left:?}");
    assert_eq!(
        (&headers["te"], &headers["x-kept"], &headers["trailer"]),
        (
            &"trailers".parse().unwrap(),
            &"3".parse().unwrap(),
            &"x-sum".parse().unwrap()
        )
    );
}

#[test]
fn connection_cannot_remove_what_makes_the_message() {
    let headers = forwarded(&[
        (
            "connection",
            "host, content-length, x-forwarded-for, x-request-id",
        ),
        ("host", "a.example"),
        ("content-length", "5"),
    ]);
    for name in ["host", "content-length", "x-forwarded-for", "x-request-id"] {
        assert!(headers.contains_key(name), "{name}");
    }
}

#[test]
fn te_without_trailers_ends_here() {
    assert!(!forwarded(&[("te", "gzip"), ("connection", "te")]).contains_key(TE));
}

#[test]
fn cookies_of_http_2_become_one() {
    let headers = forwarded(&[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]);
    let cookies: Vec<_> = headers.get_all(COOKIE).iter().collect();
    assert_eq!(cookies, ["a=1; b=2; c=3"]);
}

#[test]
fn an_upgrade_is_wanted_only_where_connection_says_so_and_never_h2c() {
    let websocket = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
    ];
    assert!(wanted_upgrade(Version::HTTP_11, &fields(&websocket)).is_some());
    assert!(wanted_upgrade(Version::HTTP_2, &fields(&websocket)).is_none());
    assert!(wanted_upgrade(Version::HTTP_11, &fields(&websocket[1..])).is_none());
    for h2c in ["h2c", "websocket, H2C"] {
        let fields = fields(&[websocket[0], ("upgrade", h2c)]);
        assert!(wanted_upgrade(Version::HTTP_11, &fields).is_none());
    }
}

#[test]
fn only_chunked_is_a_known_coding() {
    for (codings, unknown) in [
        (&[][..], false),
        (&["chunked"], false),
        (&["Chunked"], false),
        (&["gzip, chunked"], true),
        (&["gzip", "chunked"], true),
        (&["chunked", "chunked"], true),
        (&["identity"], true),
    ] {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(TRANSFER_ENCODING, coding.parse().unwrap());
        }
        assert_eq!(has_unknown_coding(&headers), unknown, "{codings:?}");
    }
}

fn some_name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("connection".to_owned()),
        Just("keep-alive".to_owned()),
        Just("te".to_owned()),
        Just("upgrade".to_owned()),
        Just("forwarded".to_owned()),
        Just("x-forwarded-for".to_owned()),
        Just("x_forwarded_host".to_owned()),
        Just("transfer-encoding".to_owned()),
        Just("cookie".to_owned()),
        "[a-z][a-z0-9_-]{0,12}",
    ]
}

proptest! {
    #[test]
    fn whatever_comes_the_rules_hold(pairs in prop::collection::vec((some_name(), "[ -~]{0,40}"), 0..20)) {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let before = fields(&pairs);
        let after = forwarded(&pairs);
        for gone in ["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"] {
            prop_assert!(!after.contains_key(gone));
        }
        prop_assert!(after.get(TE).is_none_or(|te| te == "trailers"));
        prop_assert!(after.get_all(COOKIE).iter().count() <= 1);
        prop_assert_eq!(&after["x-forwarded-for"], "192.0.2.7");
        prop_assert!(after.keys().all(|name| !name.as_str().contains("forwarded_") && !name.as_str().contains("x_forwarded")));
        let named: Vec<_> = before.get_all(CONNECTION).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).to_lowercase()).collect();
        for name in before.keys() {
            let touched = matches!(name.as_str(), "connection" | "keep-alive" | "te" | "upgrade" | "transfer-encoding" | "cookie" | "proxy-connection" | "expect")
                || name.as_str().replace('_', "-").contains("forwarded") || named.iter().any(|n| n.contains(name.as_str()));
            if !touched {
                prop_assert_eq!(before.get_all(name).iter().collect::<Vec<_>>(), after.get_all(name).iter().collect::<Vec<_>>());
            }
        }
        let mut answer = before.clone();
        to_visitor(&mut answer);
        let once = answer.clone();
        to_visitor(&mut answer);
        prop_assert_eq!(once, answer);
    }
}
