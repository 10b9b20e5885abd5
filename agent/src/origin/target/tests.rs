use proptest::prelude::*;

use super::*;

/// A file system with one of each.
fn look(path: &Path) -> Option<FileKind> {
    match path.to_str()? {
        "./public" | "public" | "/srv/www" | "a:b/c" => Some(FileKind::Directory),
        "/run/app.sock" => Some(FileKind::Socket),
        "./index.html" => Some(FileKind::Other),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Target, TargetError> {
    Target::parse(text, look)
}

fn tcp(host: &str, port: u16) -> Origin {
    Origin::Tcp(Address::new(host, port))
}

#[test]
fn every_form_of_the_command_line_page() {
    let h1 = Some(OriginProtocol::H1);
    let h2c = Some(OriginProtocol::H2c);
    for (text, origin, protocol) in [
        ("3000", tcp("localhost", 3000), None),
        (":3000", tcp("localhost", 3000), None),
        ("10.0.0.7:3000", tcp("10.0.0.7", 3000), None),
        ("db.internal:5432", tcp("db.internal", 5432), None),
        ("my_container:80", tcp("my_container", 80), None),
        ("[::1]:3000", tcp("::1", 3000), None),
        ("http://App:81/", tcp("app", 81), h1),
        ("http://app", tcp("app", 80), h1),
        ("h2c://app:50051", tcp("app", 50051), h2c),
        ("tcp://app:22", tcp("app", 22), None),
        ("https://[::1]", Origin::Tls(Address::new("::1", 443)), None),
        (
            "unix:/run/x y.sock",
            Origin::Unix("/run/x y.sock".into()),
            None,
        ),
        ("/run/app.sock", Origin::Unix("/run/app.sock".into()), None),
        ("./public", Origin::Directory("./public".into()), h1),
        ("public", Origin::Directory("public".into()), h1),
        ("a:b/c", Origin::Directory("a:b/c".into()), h1),
    ] {
        assert_eq!(parse(text), Ok(Target { origin, protocol }), "{text}");
    }
}

#[test]
fn what_cannot_be_shared_says_why() {
    for (text, error) in [
        ("", TargetError::Empty),
        ("0", TargetError::Port("0".into())),
        ("65536", TargetError::Port("65536".into())),
        ("app:+80", TargetError::Port("+80".into())),
        ("app:", TargetError::Port(String::new())),
        ("tcp://app", TargetError::Port(String::new())),
        ("ftp://app", TargetError::Scheme("ftp".into())),
        ("http://app/path?x", TargetError::Path("/path?x".into())),
        ("http://u:p@app:80", TargetError::Host("u:p@app".into())),
        ("http://", TargetError::Host(String::new())),
        ("a b:80", TargetError::Host("a b".into())),
        ("[::1:80", TargetError::Host("[".into())),
        ("./index.html", TargetError::File("./index.html".into())),
        ("publik", TargetError::Missing("publik".into())),
    ] {
        let found = parse(text);
        let same_kind = matches!((&found, &error), (Err(a), b) if std::mem::discriminant(a) == std::mem::discriminant(b));
        assert!(same_kind, "{text:?}: {found:?}");
    }
    assert_eq!(parse(&"x".repeat(5000)), Err(TargetError::TooLong));
}

proptest! {
    #[test]
    fn no_text_panics_and_what_parses_prints_and_parses_again(text in "\\PC{0,40}|[a-z0-9:/\\[\\].]{0,24}") {
        if let Ok(target) = parse(&text) {
            let printed = target.to_string();
            let again = Target::parse(&printed, look);
            prop_assert_eq!(again, Ok(target), "{}", printed);
        }
    }

    #[test]
    fn hosts_and_ports_come_back(host in "[a-z][a-z0-9-]{0,20}(\\.[a-z]{1,5}){0,2}", port in 1u16..) {
        let text = format!("{host}:{port}");
        prop_assert_eq!(parse(&text).unwrap().origin, tcp(&host, port));
    }
}
