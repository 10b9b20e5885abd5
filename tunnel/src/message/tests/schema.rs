//! The JSON Schema beside the specification and the parser say the same: what we write is valid, and what is valid is read.

use boon::{Compiler, SchemaIndex, Schemas};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;

const FILE: &str = include_str!("../../../../docs/protocol/messages.schema.json");

/// The two directions of the control stream.
struct Schema {
    schemas: Schemas,
    agent: SchemaIndex,
    edge: SchemaIndex,
}

impl Schema {
    fn read() -> Self {
        let at = "https://schema.example/messages";
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler
            .add_resource(at, serde_json::from_str(FILE).unwrap())
            .unwrap();
        let mut line = |name: &str| {
            compiler
                .compile(&format!("{at}#/$defs/{name}"), &mut schemas)
                .unwrap()
        };
        let (agent, edge) = (line("agent-line"), line("edge-line"));
        Self {
            schemas,
            agent,
            edge,
        }
    }

    fn agent(&self, line: &Value) -> bool {
        self.schemas.validate(line, self.agent).is_ok()
    }

    fn edge(&self, line: &Value) -> bool {
        self.schemas.validate(line, self.edge).is_ok()
    }
}

fn agent_lines() -> Vec<Value> {
    let mut lines: Vec<_> = every_agent_message()
        .iter()
        .map(|message| serde_json::to_value(message).unwrap())
        .collect();
    for line in &mut lines {
        // The samples name a host and a port to show every member; one of the two is what may be sent.
        if line["t"] == "bind" {
            line.as_object_mut().unwrap().remove("port");
        }
    }
    lines.push(json!({"t": "bind", "id": 2, "kind": "tcp", "port": 44001}));
    lines
}

fn edge_lines() -> Vec<Value> {
    every_edge_message()
        .iter()
        .map(|message| serde_json::to_value(message).unwrap())
        .collect()
}

#[test]
fn what_this_program_writes_is_valid() {
    let schema = Schema::read();
    for line in agent_lines() {
        assert!(schema.agent(&line), "{line}");
    }
    for line in edge_lines() {
        assert!(schema.edge(&line), "{line}");
    }
}

#[test]
fn each_message_has_a_definition_that_lists_its_members() {
    let file: Value = serde_json::from_str(FILE).unwrap();
    let listed = |direction: &str, line: &Value| {
        let kind = line["t"].as_str().unwrap();
        let cases = file["$defs"][direction]["allOf"].as_array().unwrap();
        let case = cases
            .iter()
            .find(|case| case["if"]["properties"]["t"]["const"] == kind)
            .unwrap_or_else(|| panic!("no definition of {kind}"));
        members(&file, &case["then"])
    };
    let known = |members: Option<&[&str]>| -> BTreeSet<String> {
        let members = members.unwrap().iter().chain(&["t"]);
        members.map(|name| (*name).to_owned()).collect()
    };
    for line in agent_lines() {
        let members = AgentMessage::members(line["t"].as_str().unwrap());
        assert_eq!(listed("agent-line", &line), known(members), "{line}");
    }
    for line in edge_lines() {
        let members = EdgeMessage::members(line["t"].as_str().unwrap());
        assert_eq!(listed("edge-line", &line), known(members), "{line}");
    }
}

/// The members that a definition names, by itself and through what it refers to.
fn members(file: &Value, definition: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Some(reference) = definition["$ref"].as_str() {
        let target = file.pointer(reference.trim_start_matches('#')).unwrap();
        names.extend(members(file, target));
    }
    for part in definition["allOf"].as_array().into_iter().flatten() {
        names.extend(members(file, part));
    }
    if let Some(properties) = definition["properties"].as_object() {
        names.extend(properties.keys().cloned());
    }
    names
}

#[test]
fn what_is_not_a_message_is_not_valid() {
    let schema = Schema::read();
    for line in [
        json!([]),
        json!({}),
        json!({"t": 1}),
        json!({"t": "ping"}),
        json!({"t": "ping", "n": -1}),
        json!({"t": "hello", "token": "x"}),
        json!({"t": "hello", "v": [1], "token": "x", "bind": [{"id": 1}]}),
        json!({"t": "unbind", "id": 4_294_967_296_u64}),
        json!({"t": "bind", "id": 1, "host": "a..b", "kind": "http"}),
        json!({"t": "bind", "id": 1, "host": "A.b", "kind": "http"}),
        json!({"t": "bind", "id": 1, "host": "10.0.0.1", "kind": "http"}),
        json!({"t": "bind", "id": 1, "host": "a.b", "kind": "gopher"}),
        json!({"t": "bind", "id": 1, "host": "a.b", "kind": "tcp"}),
        json!({"t": "bind", "id": 1, "host": "a.b", "port": 1, "kind": "http"}),
        json!({"t": "bind", "id": 1, "port": 0, "kind": "tcp"}),
        json!({"t": "ping", "n": 1, "crit": "n"}),
    ] {
        assert!(!schema.agent(&line), "{line}");
    }
    for line in [
        json!({"t": "welcome", "v": 1, "session": "a b", "edge": "e", "session_exp": 5}),
        json!({"t": "welcome", "v": 1, "session": "s", "edge": "e"}),
        json!({"t": "drain", "after": 5}),
        json!({"t": "error", "msg": "no code"}),
    ] {
        assert!(!schema.edge(&line), "{line}");
    }
}

/// What a member may be replaced by: every JSON type, and the edges of the numbers.
fn any_value() -> impl Strategy<Value = Value> {
    select(vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(65_535),
        json!(65_536),
        json!(4_294_967_295_u64),
        json!(4_294_967_296_u64),
        json!(9_007_199_254_740_991_u64),
        json!(1.5),
        json!(""),
        json!("http"),
        json!("a.b"),
        json!("*.a.b"),
        json!("a.-b"),
        json!("\u{1b}[2J"),
        json!([]),
        json!([1]),
        json!({}),
        json!([{"id": 1, "kind": "http", "host": "a.b"}]),
        json!({"streams": 7}),
    ])
}

/// Replaces, or takes out, the `nth` member of the line or of an object in it.
fn change(value: &mut Value, nth: &mut usize, new: &Option<Value>) {
    match value {
        Value::Object(members) => {
            for name in members.keys().cloned().collect::<Vec<_>>() {
                if *nth == 0 {
                    match new {
                        Some(new) => members.insert(name, new.clone()),
                        None => members.remove(&name),
                    };
                    *nth = usize::MAX;
                    return;
                }
                *nth -= 1;
                if let Some(inner) = members.get_mut(&name) {
                    change(inner, nth, new);
                }
                if *nth == usize::MAX {
                    return;
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                change(item, nth, new);
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn what_is_valid_is_read(which: prop::sample::Index, nth in 0..20_usize, new in option::of(any_value())) {
        let schema = Schema::read();
        let mut line = which.get(&agent_lines()).clone();
        change(&mut line, &mut nth.clone(), &new);
        let read = parse::<AgentMessage>(line.to_string().as_bytes());
        prop_assert!(read.is_ok() || !schema.agent(&line), "{} {:?}", line, read);
        let mut line = which.get(&edge_lines()).clone();
        change(&mut line, &mut nth.clone(), &new);
        let read = parse::<EdgeMessage>(line.to_string().as_bytes());
        prop_assert!(read.is_ok() || !schema.edge(&line), "{} {:?}", line, read);
    }
}
