use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::{
    ControlPlaneRole, EdgeRole, File, Position, Problem, Role, Serve, StoreSettings, example,
};

const ROLES: [Role; 3] = [Role::Serve, Role::ControlPlane, Role::Edge];

fn clean(text: &str) -> File {
    let (file, problems) = File::read(text);
    assert!(problems.is_empty(), "{problems:#?}");
    file
}

fn shown(problems: &[Problem]) -> Vec<String> {
    let show = |problem: &Problem| {
        let at = problem.at.map(|at| format!("{at} ")).unwrap_or_default();
        format!("{at}{problem}")
    };
    problems.iter().map(show).collect()
}

/// With every default written out.
fn spelled_out(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// With everything that could be a key written out, for the names of the keys.
fn everything(text: &str) -> String {
    let line = |line: &str| {
        let rest = line.trim_start_matches('#').trim_start();
        let is_key = rest
            .split_once(" = ")
            .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        if is_key || rest.starts_with('[') {
            format!("{rest}\n")
        } else {
            "\n".into()
        }
    };
    text.lines().map(line).collect()
}

#[test]
fn the_examples_are_valid_and_say_what_the_defaults_are() {
    for role in ROLES {
        let text = example(role);
        let (file, full) = (clean(text), clean(&spelled_out(text)));
        match role {
            Role::Serve => assert_eq!(Serve::of(&file).unwrap(), Serve::of(&full).unwrap()),
            Role::ControlPlane => {
                assert_eq!(
                    ControlPlaneRole::of(&file).unwrap(),
                    ControlPlaneRole::of(&full).unwrap()
                );
            }
            Role::Edge => assert_eq!(EdgeRole::of(&file).unwrap(), EdgeRole::of(&full).unwrap()),
        }
    }
}

#[test]
fn the_examples_name_every_key() {
    let mut named = BTreeSet::new();
    for role in ROLES {
        let file = clean(&everything(example(role)));
        named.extend(file.places.keys().map(ToOwned::to_owned));
    }
    for section in ["", "store", "control-plane", "edge", "admin", "log"] {
        let text = match section {
            "" => "nothing_of_this_name = 1".into(),
            _ => format!("[{section}]\nnothing_of_this_name = 1"),
        };
        let (_, problems) = File::read(&text);
        let advice = problems[0].advice.as_ref().unwrap();
        let keys = advice.strip_prefix("the keys here are ").unwrap();
        for key in keys.split(", ") {
            let path = if section.is_empty() {
                key.to_owned()
            } else {
                format!("{section}.{key}")
            };
            assert!(named.contains(&path), "{path} is in no example: {named:?}");
        }
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_with_its_place() {
    let text = "\
zone = \"not a zone\"
datadir = \"/x\"
[edge]
https = [\"0.0.0.0:443\", \"nowhere\"]
http = 80
max_sessions = 0
[control_plane]
listen = []
";
    let (_, problems) = File::read(text);
    let told = shown(&problems);
    let places: Vec<_> = told
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "1:8 zone",
            "2:1 datadir",
            "4:25 edge.https",
            "5:8 edge.http",
            "6:16 edge.max_sessions",
            "7:2 control_plane"
        ],
        "{told:#?}"
    );
    let advice: Vec<_> = problems
        .iter()
        .filter_map(|problem| problem.advice.as_deref())
        .collect();
    assert_eq!(
        advice,
        ["did you mean data_dir?", "did you mean control-plane?"]
    );
}

#[test]
fn a_file_that_is_not_toml_is_told_where() {
    let (_, problems) = File::read("zone = \"a.example\"\nstore = [\n");
    assert!(!problems.is_empty());
    assert!(
        problems.iter().all(|problem| problem.at.is_some()),
        "{problems:?}"
    );
}

#[test]
fn a_zone_is_all_that_serve_needs() {
    let serve = Serve::of(&clean("zone = \"t.example.com\"")).unwrap();
    assert_eq!(
        serve.control_plane.url.to_string(),
        "https://adit.t.example.com"
    );
    assert_eq!(serve.edge.url.to_string(), "https://edge.t.example.com");
    assert_eq!(serve.common.store, StoreSettings::Embedded);
}

#[test]
fn urls_follow_the_ports() {
    let serve = Serve::of(&clean(
        "zone = \"t.example\"\n[edge]\nhttps = \"127.0.0.1:8443\"",
    ))
    .unwrap();
    assert_eq!(
        serve.control_plane.url.to_string(),
        "https://adit.t.example:8443"
    );
    let serve = "zone = \"t.example\"\n[edge]\nhttps = \"127.0.0.1:8443\"\nhttps_port = 443";
    let serve = Serve::of(&clean(serve)).unwrap();
    assert_eq!(serve.edge.url.to_string(), "https://edge.t.example");
    assert_eq!(serve.edge.quic, serve.edge.https);
}

#[test]
fn each_role_says_what_it_lacks() {
    let missing = |role: Role, text: &str| -> Vec<String> {
        role.problems(&clean(text))
            .into_iter()
            .map(|problem| problem.key)
            .collect()
    };
    assert_eq!(missing(Role::Serve, ""), ["zone"]);
    assert_eq!(
        missing(Role::ControlPlane, ""),
        [
            "store.endpoints",
            "zone",
            "control-plane.key_encryption_key_file"
        ]
    );
    assert_eq!(
        missing(Role::Edge, ""),
        [
            "store.endpoints",
            "edge.id",
            "edge.names",
            "certificates",
            "edge.control_plane"
        ]
    );
    let embedded = "[store]\nkind = \"embedded\"";
    assert!(missing(Role::Edge, embedded).contains(&"store.kind".into()));
}

#[test]
fn listeners_do_not_share_a_port() {
    let problems = |text: &str| {
        let text = format!("zone = \"t.example\"\n{text}");
        shown(&Role::Serve.problems(&clean(&text)))
    };
    let same = problems("[edge]\nhttp = \"0.0.0.0:443\"");
    assert_eq!(
        same,
        ["3:8 edge.http: 0.0.0.0:443 is taken by edge.https already"]
    );
    let hidden = problems("[admin]\nlisten = \"127.0.0.1:80\"");
    assert_eq!(
        hidden,
        ["3:10 admin.listen: 127.0.0.1:80 is taken by edge.http already"]
    );
    let kept = problems("[admin]\nlisten = \"127.0.0.1:4422\"");
    assert_eq!(
        kept,
        ["3:10 admin.listen: port 4422 is kept for agents over SSH"]
    );
    let range = problems("[control-plane]\ntcp_ports = \"4400-4480\"");
    assert_eq!(range.len(), 2, "{range:?}");
    assert!(problems("[edge]\nhttps = \"127.0.0.1:8443\"\nhttp = \"127.0.0.2:8443\"").is_empty());
    assert!(
        problems("[edge]\nhttps = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"").is_empty(),
        "any free port"
    );
}

#[test]
fn secrets_have_no_key_of_their_own() {
    let (_, problems) = File::read("[store]\npassword = \"hunter2\"\n");
    assert_eq!(
        problems[0].advice.as_deref(),
        Some(
            "the keys here are kind, endpoints, namespace, user, password_file, ca, certificate, key"
        )
    );
    assert!(!format!("{problems:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic_and_every_place_is_in_it(text in "([a-z_\\-]{1,12}( = |\\.|\n|\\[|\\]|\"|[0-9:]){0,4}){0,20}") {
        let (file, problems) = File::read(&text);
        let lines = text.matches('\n').count() + 1;
        for Position { line, column } in problems.iter().filter_map(|problem| problem.at) {
            prop_assert!((1..=lines).contains(&line) && column >= 1);
        }
        for role in ROLES {
            let _ = role.problems(&file);
        }
    }
}

#[test]
fn load_balancers_are_named_and_are_not_everybody() {
    let with = |value: &str| format!("zone = \"t.example\"\n[edge]\nproxy_protocol_from = {value}");
    let serve = Serve::of(&clean(&with("[\"10.0.0.0/8\", \"2001:db8::1\"]"))).unwrap();
    let named: Vec<_> = serve.edge.proxy_protocol_from.iter().collect();
    assert_eq!(
        format!("{}, {}", named[0], named[1]),
        "10.0.0.0/8, 2001:db8::1/128"
    );
    let problems = Role::Serve.problems(&clean(&with("\"::/0\"")));
    assert_eq!(
        shown(&problems),
        ["3:23 edge.proxy_protocol_from: everybody could say that he is somebody else"]
    );
    let (_, problems) = File::read(&with("\"10.0.0.1/8\""));
    assert_eq!(
        shown(&problems),
        [
            "3:23 edge.proxy_protocol_from: the address has bits behind its prefix: 10.0.0.0/8 is the network"
        ]
    );
}
