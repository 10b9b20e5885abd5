//! Host names, patterns and endpoints (`model`).

use bolero::check;
use model::{EndpointName, Grant, GrantedEndpoint, HostPattern, Hostname, Kind};

use crate::{ITERATIONS, recipe::Recipe};

const SEEDS: [&str; 9] = [
    "api.alice.example",
    "*.alice.example",
    "localhost",
    "XN--BCHER-KVA.example.",
    "a-1.b-2.c-3.d-4",
    "port:44001",
    "port:1",
    "1.2.3.4",
    "0.a",
];

#[test]
fn hostname() {
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let text = recipe.text(&SEEDS);
            let Ok(name) = text.parse::<Hostname>() else {
                return;
            };
            let own = name.as_str();
            assert!(
                own.len() <= 253 && name.labels().all(|label| (1..=63).contains(&label.len())),
                "{own}"
            );
            assert!(
                own.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)),
                "{own}"
            );
            assert!(
                text.eq_ignore_ascii_case(own) || text.eq_ignore_ascii_case(&format!("{own}.")),
                "{own}"
            );
            assert_eq!(own.parse::<Hostname>().as_ref(), Ok(&name));
            assert!(own.parse::<std::net::IpAddr>().is_err(), "{own}");
        });
}

#[test]
fn pattern() {
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(Recipe, Recipe)>()
        .for_each(|(one, other)| {
            let (text, name) = (one.text(&SEEDS), other.text(&SEEDS));
            let Ok(pattern) = text.parse::<HostPattern>() else {
                return;
            };
            assert_eq!(
                pattern.to_string().parse::<HostPattern>().as_ref(),
                Ok(&pattern)
            );
            let Ok(name) = name.parse::<Hostname>() else {
                return;
            };
            let candidate = HostPattern::candidates(&name).any(|candidate| candidate == pattern);
            assert_eq!(pattern.matches(&name), candidate, "{pattern} {name}");
            assert_eq!(pattern.covers(&HostPattern::Exact(name.clone())), candidate);
        });
}

#[test]
fn endpoint_name_and_grant() {
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(Recipe, Recipe)>()
        .for_each(|(one, other)| {
            let Ok(granted) = one.text(&SEEDS).parse::<EndpointName>() else {
                return;
            };
            assert_eq!(
                granted.to_string().parse::<EndpointName>().as_ref(),
                Ok(&granted)
            );
            let Ok(wanted) = other.text(&SEEDS).parse::<EndpointName>() else {
                return;
            };
            let claim = "clm_1".parse().unwrap();
            let endpoint = GrantedEndpoint {
                claim,
                name: granted.clone(),
                kind: Kind::Http,
            };
            let grant = Grant {
                endpoints: vec![endpoint],
                ..Grant::default()
            };
            assert_eq!(
                grant.allows(&wanted, Kind::Http).is_some(),
                granted.covers(&wanted)
            );
            assert_eq!(grant.allows(&wanted, Kind::Tls), None);
        });
}
