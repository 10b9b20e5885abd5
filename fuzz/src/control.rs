//! The control stream (`tunnel`): bytes to lines to messages.

use bolero::check;
use tunnel::{
    Code, ControlReader,
    control::{LineError, LineSplitter, parse},
    limits,
    message::{AgentMessage, EdgeMessage},
};

use crate::{ITERATIONS, recipe::Recipe};

const AGENT: [&str; 8] = [
    r#"{"t":"hello","v":[1],"token":"x","agent":"a/1","bind":[{"id":1,"host":"*.a.example","kind":"http","proto":"h2c","host_header":"x"}],"resume":"y","visits":true}"#,
    r#"{"t":"bind","id":2,"port":44001,"kind":"tcp"}"#,
    r#"{"t":"unbind","id":2}"#,
    r#"{"t":"token","token":"z","crit":["token"]}"#,
    r#"{"t":"drain"}"#,
    r#"{"t":"ping","n":18446744073709551615}"#,
    r#"{"t":"error","code":6,"msg":"held","retry":true,"after":1500,"id":1}"#,
    r#"{"t":"later","crit":[]}"#,
];

const EDGE: [&str; 8] = [
    r#"{"t":"welcome","v":1,"session":"ses_1","edge":"e1","bound":[{"id":1,"kind":"http","url":"https://a.example","host":"a.example"}],"session_exp":1,"keepalive":15,"limits":{"line":16384,"binds":100,"streams":1000},"edges":["https://b"],"resume":"x","more":true}"#,
    r#"{"t":"bound","id":1,"kind":"tcp","port":44001}"#,
    r#"{"t":"unbound","id":1}"#,
    r#"{"t":"drain","after":1,"deadline":30000,"edges":["https://b"]}"#,
    r#"{"t":"pong","n":1}"#,
    r#"{"t":"visit","id":1,"method":"GET","path":"/","status":200,"ms":3,"up":0,"down":9}"#,
    r#"{"t":"error","code":3,"msg":"no\nsuch\u0007token"}"#,
    r#"{"t":"\u0065rror","code":3}"#,
];

#[test]
fn agent_message() {
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let Ok(message) = parse::<AgentMessage>(&recipe.bytes(&AGENT)) else {
                return;
            };
            let Ok(line) = serde_json::to_vec(&message) else {
                return assert_eq!(message, AgentMessage::Unknown);
            };
            assert_eq!(parse::<AgentMessage>(&line).unwrap(), message);
        });
}

#[test]
fn edge_message() {
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let Ok(message) = parse::<EdgeMessage>(&recipe.bytes(&EDGE)) else {
                return;
            };
            let Ok(line) = serde_json::to_vec(&message) else {
                return assert_eq!(message, EdgeMessage::Unknown);
            };
            if let EdgeMessage::Error(error) = &message {
                assert!(!error.msg.contains(char::is_control), "{error:?}");
            }
            assert_eq!(parse::<EdgeMessage>(&line).unwrap(), message);
        });
}

/// Lines, joined and cut anywhere, come out as if they had come whole.
#[test]
fn lines() {
    let seeds = [
        [AGENT[0], AGENT[5]].join("\n"),
        [EDGE[0], "", "  ", EDGE[3]].join("\n"),
        "\n".repeat(9),
        "x".repeat(9000),
    ];
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(Recipe, Vec<u16>)>()
        .for_each(|(recipe, cuts)| {
            let bytes = recipe.bytes(&seeds);
            let whole = split(&bytes, &[]);
            let lines = split(&bytes, cuts);
            assert_eq!(lines, whole);
            let longest =
                |line: &Vec<u8>| line.len() < limits::CONTROL_LINE && !line.contains(&b'\n');
            assert!(lines.0.iter().all(longest));
        });
}

/// The lines and whether all bytes were taken.
fn split(bytes: &[u8], cuts: &[u16]) -> (Vec<Vec<u8>>, bool) {
    let (mut splitter, mut lines, mut rest) = (LineSplitter::default(), Vec::new(), bytes);
    let mut cuts = cuts.iter().map(|cut| usize::from(*cut) % 1000);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
        rest = after;
        splitter.push(piece);
        loop {
            match splitter.next_line() {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => break,
                Err(LineError::TooLong) => return (lines, false),
                Err(error) => panic!("{error}"),
            }
        }
    }
    (lines, true)
}

#[test]
fn reader() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let seeds = [AGENT.join("\n") + "\n", EDGE.join("\r\n"), "\n\n".into()];
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<Recipe>()
        .for_each(|recipe| {
            let bytes = recipe.bytes(&seeds);
            let mut reader = ControlReader::new(&bytes[..]);
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
            let mut messages = 0;
            while let Ok(Some(_)) = runtime.block_on(reader.next::<AgentMessage>()) {
                messages += 1;
            }
            assert!(messages <= lines, "a message is a whole line");
        });
}

#[test]
fn codes() {
    check!()
        .with_iterations(ITERATIONS)
        .with_type::<(u8, u64)>()
        .for_each(|(byte, number)| {
            if let Ok(code) = Code::try_from(*byte) {
                assert_eq!(u8::from(code), *byte);
                assert!(
                    code.http_status()
                        .is_none_or(|status| (400..600).contains(&status))
                );
            }
            let _ = (Code::of_session(*number), Code::of_stream(*number));
        });
}
