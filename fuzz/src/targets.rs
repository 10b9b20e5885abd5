//! What a person types to say what is shared, and where edges are (`agent`).

use std::path::Path;

use agent::{FileKind, Location, Origin, Target};
use bolero::check;

use crate::{ITERATIONS, recipe::Recipe};

const TARGETS: [&str; 13] = [
    "3000",
    "db.internal:5432",
    ":8080",
    "my_container:80",
    "http://127.0.0.1:8080/",
    "https://[::1]",
    "https://x.example:8443",
    "h2c://localhost:50051",
    "tcp://localhost:22",
    "unix:/run/app.sock",
    "unix:///run/app.sock",
    "./public",
    "C:\\x",
];

fn look(path: &Path) -> Option<FileKind> {
    match path.as_os_str().len() % 4 {
        0 => Some(FileKind::Directory),
        1 => Some(FileKind::Socket),
        2 => Some(FileKind::Other),
        _ => None,
    }
}

#[test]
fn target() {
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let text = recipe.text(&TARGETS);
            let Ok(target) = Target::parse(&text, look) else {
                return;
            };
            match &target.origin {
                Origin::Tcp(address) | Origin::Tls(address) => {
                    assert!(
                        address.port > 0 && (1..=253).contains(&address.host.len()),
                        "{target:?}"
                    );
                    let again = Target::parse(&target.to_string(), look);
                    assert!(
                        again.as_ref() == Ok(&target) || address.host == "unix",
                        "{target:?} {again:?}"
                    );
                }
                Origin::Unix(path) | Origin::Directory(path) => {
                    assert!(!path.as_os_str().is_empty())
                }
                Origin::Welcome => panic!("no text means the welcome page"),
            }
        });
}

#[test]
fn location() {
    let seeds = [
        "https://edge.localhost:4443",
        "https://[2001:db8::1]:443/",
        "https://e",
    ];
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let Ok(location) = recipe.text(&seeds).parse::<Location>() else {
                return;
            };
            assert!(location.port() > 0 && !location.host().is_empty());
            let again: Location = location.to_string().parse().unwrap();
            assert_eq!(again, location);
        });
}
