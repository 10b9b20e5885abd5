mod schema;

use std::collections::BTreeSet;

use proptest::{option, prelude::*, sample::select};

use super::*;
use crate::control::{LineError, parse};

fn agent(line: &str) -> Result<AgentMessage, LineError> {
    parse(line.as_bytes())
}

fn edge(line: &str) -> Result<EdgeMessage, LineError> {
    parse(line.as_bytes())
}

fn hello() -> Hello {
    Hello {
        v: vec![VERSION],
        token: Secret::from("t0ken".to_owned()),
        agent: "adit/0.1.0".into(),
        bind: Some(vec![bind()]),
        resume: Some(Secret::from("again".to_owned())),
        proof: Some(Secret::from("pr00f".to_owned())),
        visits: true,
        datagrams: true,
    }
}

fn bind() -> Bind {
    Bind {
        id: 1,
        host: Some("api.alice.example".parse().unwrap()),
        port: None,
        kind: Kind::Http,
        proto: Some(OriginProtocol::H2c),
        host_header: Some("localhost:3000".into()),
    }
}

fn bound(id: u32) -> Bound {
    Bound {
        id,
        kind: Kind::Tcp,
        url: Some("tcp://edge.example:44001".into()),
        host: Some("*.a.example".parse().unwrap()),
        port: Some(44001),
    }
}

fn welcome(bounds: u32) -> Welcome {
    Welcome {
        v: VERSION,
        session: "ses_1".parse().unwrap(),
        edge: "ams1".parse().unwrap(),
        bound: (0..bounds).map(bound).collect(),
        session_exp: UnixTime::from_secs(2_000_000_000),
        keepalive: limits::KEEPALIVE,
        limits: Limits::default(),
        edges: vec!["https://fra1.edge.example".into()],
        resume: Some(Secret::from("again".to_owned())),
        datagrams: true,
        more: true,
    }
}

fn visit() -> Visit {
    Visit {
        id: 1,
        method: "GET".into(),
        path: "/".into(),
        status: 200,
        ms: 12,
        up: 0,
        down: 99,
    }
}

fn error() -> ErrorMessage {
    ErrorMessage::new(Code::Limit, "too many")
        .after(Duration::from_millis(1500))
        .about(3)
}

fn every_agent_message() -> Vec<AgentMessage> {
    vec![
        AgentMessage::Hello(hello()),
        AgentMessage::Bind(Bind {
            port: Some(44001),
            ..bind()
        }),
        AgentMessage::Unbind { id: 1 },
        AgentMessage::Token {
            token: Secret::from("new".to_owned()),
        },
        AgentMessage::Proof {
            proof: Secret::from("pr00f".to_owned()),
        },
        AgentMessage::Drain,
        AgentMessage::Drained,
        AgentMessage::Ping { n: 1 },
        AgentMessage::Pong { n: (1 << 53) - 1 },
        AgentMessage::Error(error()),
    ]
}

fn every_edge_message() -> Vec<EdgeMessage> {
    vec![
        EdgeMessage::Welcome(welcome(2)),
        EdgeMessage::Challenge {
            nonce: "n0nce".into(),
        },
        EdgeMessage::Bound(bound(7)),
        EdgeMessage::Unbound { id: 7 },
        EdgeMessage::Error(error()),
        EdgeMessage::Drain(Drain {
            after: Duration::from_millis(250),
            deadline: Duration::from_secs(30),
            edges: vec!["https://fra1.edge.example".into()],
        }),
        EdgeMessage::Ping { n: 1 },
        EdgeMessage::Pong { n: 1 },
        EdgeMessage::Visit(visit()),
    ]
}

/// Writes, reads again, and holds the members against what `crit` believes this version to know.
fn survives<M: Vocabulary + PartialEq + std::fmt::Debug>(message: &M) {
    let line = serde_json::to_vec(message).unwrap();
    assert_eq!(&parse::<M>(&line).unwrap(), message);
    let json: serde_json::Value = serde_json::from_slice(&line).unwrap();
    let kind = json["t"].as_str().unwrap();
    let written: BTreeSet<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut known: BTreeSet<&str> = M::members(kind).unwrap().iter().copied().collect();
    known.insert("t");
    assert_eq!(written, known, "{kind}");
}

#[test]
fn every_message_survives_and_its_members_are_known() {
    every_agent_message().iter().for_each(survives);
    every_edge_message().iter().for_each(survives);
}

#[test]
fn the_smallest_hello_and_welcome() {
    let read = agent(r#"{"t":"hello","v":[1],"token":"abc"}"#).unwrap();
    let expected = Hello {
        token: Secret::from("abc".to_owned()),
        agent: String::new(),
        bind: None,
        resume: None,
        proof: None,
        visits: false,
        datagrams: false,
        ..hello()
    };
    assert_eq!(read, AgentMessage::Hello(expected));
    let line = r#"{"t":"welcome","v":1,"session":"ses_1","edge":"ams1","session_exp":5,"limits":{"streams":7}}"#;
    let EdgeMessage::Welcome(read) = edge(line).unwrap() else {
        panic!("not a welcome")
    };
    assert_eq!(read.keepalive, limits::KEEPALIVE);
    assert_eq!((read.limits.streams, read.limits.binds), (7, limits::BINDS));
}

#[test]
fn what_is_unknown_is_ignored_unless_it_is_critical() {
    let ping = AgentMessage::Ping { n: 1 };
    assert_eq!(agent(r#"{"t":"ping","n":1,"new":{"a":[]}}"#).unwrap(), ping);
    assert_eq!(
        agent(r#"{"t":"ping","n":1,"crit":["n","ping"]}"#).unwrap(),
        ping
    );
    assert_eq!(
        agent(r#"{"t":"later","x":1}"#).unwrap(),
        AgentMessage::Unknown
    );
    assert_eq!(
        edge(r#"{"t":"later","n":"x"}"#).unwrap(),
        EdgeMessage::Unknown
    );
    assert_eq!(
        agent(r#"{"t":"drain","x":1}"#).unwrap(),
        AgentMessage::Drain
    );
    for line in [
        r#"{"t":"ping","n":1,"new":1,"crit":["new"]}"#,
        r#"{"t":"later","crit":["later"]}"#,
        r#"{"t":"later","x":1,"crit":["x"]}"#,
    ] {
        assert!(matches!(agent(line), Err(LineError::Critical(_))), "{line}");
    }
}

#[test]
fn what_is_malformed_is_refused() {
    for line in [
        "",
        "[]",
        "{}",
        r#"{"t":1}"#,
        r#"{"t":"ping"}"#,
        r#"{"t":"ping","n":-1}"#,
        r#"{"t":"ping","n":1}{"#,
        r#"{"t":"unbind","id":4294967296}"#,
        r#"{"t":"bind","id":1,"host":"a..b","kind":"http"}"#,
        r#"{"t":"bind","id":1,"port":65536,"kind":"tcp"}"#,
        r#"{"t":"bind","id":1,"host":"a.b","kind":"gopher"}"#,
        r#"{"t":"hello","token":"x"}"#,
    ] {
        assert!(matches!(agent(line), Err(LineError::Json(_))), "{line}");
    }
}

#[test]
fn a_bind_names_a_host_or_a_port_as_its_kind_demands() {
    assert!(bind().name().is_some());
    let port = Bind {
        host: None,
        port: Some(44001),
        kind: Kind::Tcp,
        ..bind()
    };
    assert_eq!(port.name(), Some(EndpointName::Port(44001)));
    for odd in [
        Bind {
            port: Some(1),
            ..bind()
        },
        Bind {
            host: None,
            ..bind()
        },
        Bind {
            kind: Kind::Tcp,
            ..bind()
        },
        Bind {
            kind: Kind::Tls,
            ..port.clone()
        },
        Bind {
            port: Some(0),
            ..port.clone()
        },
    ] {
        assert_eq!(odd.name(), None, "{odd:?}");
    }
}

#[test]
fn the_longest_welcome_comes_in_lines_that_fit() {
    let label = "a".repeat(63);
    let longest = [label.as_str(), &label, &label, &label[..61]].join(".");
    let mut long = welcome(limits::BINDS);
    for bound in &mut long.bound {
        bound.host = Some(longest.parse().unwrap());
        bound.url = Some(format!("https://{longest}:65535"));
    }
    long.edges = vec![format!("https://{longest}:65535"); 99];
    let lines = long.clone().into_lines();
    let bound: Vec<_> = lines.iter().flat_map(|line| line.bound.clone()).collect();
    assert_eq!(bound, long.bound);
    let (last, others) = lines.split_last().unwrap();
    assert!(!last.more && others.iter().all(|line| line.more));
    for line in lines {
        let json = serde_json::to_vec(&EdgeMessage::Welcome(line)).unwrap();
        assert!(json.len() < limits::CONTROL_LINE, "{}", json.len());
    }
    assert_eq!(welcome(0).into_lines().len(), 1);
}

#[test]
fn texts_of_the_peer_are_cut_and_made_printable() {
    let line = format!(
        r#"{{"t":"error","code":9,"msg":"a\u001b[2J\n{}"}}"#,
        "ü".repeat(5000)
    );
    let AgentMessage::Error(error) = agent(&line).unwrap() else {
        panic!("not an error")
    };
    assert!(error.msg.starts_with("a[2Jü") && error.msg.chars().count() <= limits::VISIT_PATH);
    let long = Visit {
        path: format!("/{}?token=secret", "ü".repeat(5000)),
        method: "X".repeat(99),
        ..visit()
    };
    let cut = long.bounded();
    assert!(cut.path.len() <= limits::VISIT_PATH && cut.method.len() == limits::VISIT_METHOD);
    let query = Visit {
        path: "/a?token=secret".into(),
        ..visit()
    };
    assert_eq!(query.bounded().path, "/a");
}

#[test]
fn secrets_stay_out_of_logs() {
    let text = format!("{:?}", AgentMessage::Hello(hello()));
    assert!(
        !text.contains("t0ken") && !text.contains("again") && !text.contains("pr00f"),
        "{text}"
    );
}

fn any_bind() -> impl Strategy<Value = Bind> {
    let kind = select(vec![Kind::Http, Kind::Tls, Kind::Tcp, Kind::Udp]);
    let proto = option::of(select(vec![OriginProtocol::H1, OriginProtocol::H2c]));
    let host = option::of("(\\*\\.)?[a-z]{1,9}(\\.[a-z]{1,9}){0,3}");
    (
        any::<u32>(),
        host,
        any::<Option<u16>>(),
        kind,
        proto,
        any::<Option<String>>(),
    )
        .prop_map(|(id, host, port, kind, proto, host_header)| Bind {
            id,
            host: host.map(|host| host.parse().unwrap()),
            port,
            kind,
            proto,
            host_header,
        })
}

proptest! {
    #[test]
    fn any_hello_survives(
        token: String,
        name in "[ -~]{0,40}",
        binds in option::of(proptest::collection::vec(any_bind(), 0..5)),
        resume: Option<String>,
        visits: bool,
        datagrams: bool,
        v: Vec<u32>,
    ) {
        let message = AgentMessage::Hello(Hello {
            v,
            token: token.into(),
            agent: name,
            bind: binds,
            resume: resume.map(Secret::from),
            proof: None,
            visits,
            datagrams,
        });
        let line = serde_json::to_vec(&message).unwrap();
        prop_assert!(!line.contains(&b'\n'));
        prop_assert_eq!(parse::<AgentMessage>(&line).unwrap(), message);
    }

    #[test]
    fn no_line_panics(line: Vec<u8>) {
        let _ = parse::<AgentMessage>(&line);
        let _ = parse::<EdgeMessage>(&line);
    }

    #[test]
    fn no_mutation_of_a_message_panics(n in 0..19_usize, at: usize, byte: u8) {
        let mut lines: Vec<_> = every_agent_message().iter().map(|m| serde_json::to_vec(m).unwrap()).collect();
        lines.extend(every_edge_message().iter().map(|m| serde_json::to_vec(m).unwrap()));
        let line = &mut lines[n];
        let at = at % line.len();
        line[at] = byte;
        if let Ok(message) = parse::<AgentMessage>(line)
            && message != AgentMessage::Unknown
        {
            let again = serde_json::to_vec(&message).unwrap();
            prop_assert_eq!(parse::<AgentMessage>(&again).unwrap(), message);
        }
        let _ = parse::<EdgeMessage>(line);
    }
}
