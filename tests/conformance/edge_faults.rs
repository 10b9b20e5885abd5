//! A broken edge for each case.

use conformance::frame::{ACK, DATA, FIN, Frame, GO_AWAY, PING, RST, SYN};
use serde_json::{Value, json};

use crate::{
    fault::{Ask, Does, Ends, Fault, Line, break_if, drop_if, set_if},
    seen::{
        Way::{Down, Up},
        contains,
    },
};

/// By the name of the case that each must fail.
#[rustfmt::skip]
pub(crate) const OVER_THE_MUX: &[Fault] = &[
    Fault::frame("second-stream", |_, way, f| if way == Up && f.stream == 3 && f.body == b"{}\n" {
        Does::Instead(vec![(Down, Frame::data(ACK, 3, "x"))])
    } else { Does::Pass }),
    Fault { ends: Ends::Late, ..Fault::frame("session-lost", |seen, way, f| if way == Up && f.kind == GO_AWAY {
        let open: Vec<_> = seen.streams.iter().filter(|(_, s)| s.up == b"\0part").map(|(id, _)| (Up, Frame::data(FIN, *id, ""))).collect();
        if open.is_empty() { Does::Pass } else { Does::Instead(open) }
    } else { Does::Pass }) },
    Fault::line("line-json", |_, _, text, _| drop_if(text == "hello\n")),
    Fault::line("line-type", |_, _, _, v| drop_if(v["t"].is_null() && v["v"].is_array())),
    Fault::line("line-member", |_, way, _, v| drop_if(way == Up && v["t"] == "hello" && v["token"].is_null())),
    Fault::line("line-member-type", |_, way, _, v| drop_if(way == Up && v["v"].is_string())),
    Fault::frame("line-too-long", |_, way, f| if way == Up && f.stream == 1 && f.body.len() == 16_385 { Does::Drop } else { Does::Pass }),
    Fault::line("line-longest", |_, _, text, _| if text.len() == 16_384 { Line::Instead(format!(" {text}")) } else { Line::Pass }),
    Fault::line("line-blank", |_, way, text, _| if way == Up && text == "\r\n" { Line::Instead("x\n".into()) } else { Line::Pass }),
    Fault::line("line-pieces", |_, way, text, _| if way == Up && text.len() == 20 { Line::Instead(format!("{text}\n")) } else { Line::Pass }),
    Fault::line("line-later", |_, _, text, _| drop_if(text == "{\"t\":\n")),
    Fault::line("member-unknown", |_, _, _, v| break_if(v["t"] == "hello" && v["tomorrow"].is_object())),
    Fault::line("message-unknown", |_, _, _, v| break_if(v["t"] == "tomorrow" && v["crit"].is_null())),
    Fault::line("crit-known", |_, _, _, v| break_if(v["crit"] == json!(["token", "resume", "hello"]))),
    Fault::line("crit-unknown", |_, _, _, v| set_if(v["t"] == "hello" && v["crit"] == json!(["tomorrow"]), v, "crit", json!([]))),
    Fault::line("crit-message", |_, _, _, v| drop_if(v["t"] == "tomorrow" && v["crit"].is_array())),
    Fault::frame("hello-time", |_, way, f| {
        if way == Down && f.kind == GO_AWAY && f.length == 266 { f.length = 265; }
        Does::Pass
    }),
    Fault::line("hello-first", |_, way, _, v| drop_if(way == Up && v["t"] == "ping" && v["n"] == 1)),
    Fault::line("version-none", |_, _, _, v| set_if(v["v"][0] == 0, v, "v", json!([1]))),
    Fault::line("version-choice", |_, _, _, v| break_if(v["v"][1] == 1)),
    Fault::line("token-nonsense", |seen, _, _, v| set_if(v["token"] == "nonsense", v, "token", json!(seen.world.token))),
    Fault::line("token-forged", |seen, _, _, v| {
        let forged = v["t"] == "hello" && v["token"].as_str().is_some_and(|t| t.contains('.') && t != seen.world.token && t != seen.world.expired);
        set_if(forged, v, "token", json!(seen.world.token))
    }),
    Fault::line("token-expired", |seen, _, _, v| set_if(v["token"] == seen.world.expired.as_str(), v, "token", json!(seen.world.token))),
    Fault::line("welcome", |_, _, _, v| set_if(v["t"] == "welcome" && v["bound"] == json!([]), v, "session_exp", json!(1))),
    Fault::line("bind-all", |_, _, _, v| {
        let Some(mut bound) = v["bound"].as_array().filter(|bound| !bound.is_empty()).cloned() else { return Line::Pass };
        bound.push(json!({"id": 99, "kind": "http", "host": "another.example"}));
        set_if(true, v, "bound", json!(bound))
    }),
    Fault::line("bind-forbidden", |_, way, _, v| bound_if(way == Down && v["id"] == 7, v)),
    Fault::line("bind-labels", |_, way, _, v| bound_if(way == Down && v["id"] == 22, v)),
    Fault::line("bind-kind", |_, way, _, v| bound_if(way == Down && v["id"] == 3 && v["code"] == 5, v)),
    Fault::line("bind-limit", |_, _, _, v| set_if(v["bind"].as_array().is_some_and(|b| b.len() > 100), v, "bind", json!([]))),
    Fault::line("bind-later", |_, _, _, v| drop_if(v["t"] == "unbound")),
    Fault::line("token-refresh", |seen, _, _, v| drop_if(v["t"] == "token" && v["token"] == seen.world.token.as_str())),
    Fault::line("token-refused", |seen, _, _, v| break_if(v["t"] == "token" && v["token"] != seen.world.token.as_str())),
    Fault::line("drain", |_, way, _, v| drop_if(way == Up && v["t"] == "drain")),
    Fault::line("ping", |_, way, _, v| set_if(way == Down && v["n"] == (1_u64 << 53) - 1, v, "n", json!(1))),
    Fault::frame("head", |seen, way, f| {
        let opens = way == Down && f.has(SYN) && f.stream % 2 == 0 && f.body.get(13) == Some(&0x11);
        let named = [&seen.world.http, &seen.world.tls].iter().any(|name| contains(&f.body, name.as_bytes()));
        if opens && !named { second_bind(&mut f.body); }
        Does::Pass
    }),
    Fault::frame("head-http", |seen, way, f| { other_name(way == Down && f.has(SYN), f, &seen.world.http); Does::Pass }),
    Fault::frame("head-tls", |seen, way, f| { other_name(way == Down && f.has(SYN), f, &seen.world.tls); Does::Pass }),
    Fault::frame("status-http", |_, way, f| { if way == Up && f.body == [0x22] { f.body = vec![0x20]; } Does::Pass }),
    Fault::frame("status-tcp", |seen, way, f| {
        if way == Up && f.body == [0x20] && seen.of(f).is_some_and(|s| !s.http) { *f = Frame::data(f.flags, f.stream, "\0oops"); }
        Does::Pass
    }),
    Fault::frame("status-time", |_, way, f| { if way == Down && f.has(RST) && f.length == 0x23 { f.length = 0x21; } Does::Pass }),
    Fault::frame("half-close-visitor", |seen, way, f| {
        if way == Down && seen.of(f).is_some_and(|s| s.down == b"question") { f.flags &= !FIN; }
        Does::Pass
    }),
    Fault::frame("half-close-origin", |seen, way, f| {
        let first = seen.of(f).is_some_and(|s| s.up == b"\0answer" && !s.down_ended && s.down.is_empty());
        if way == Up && f.has(FIN) && first { *f = Frame::new(1, RST, f.stream, 0x21); }
        Does::Pass
    }),
    Fault::frame("origin-first", |_, way, f| if way == Up && contains(&f.body, b"220 ready") { Does::Drop } else { Does::Pass }),
    Fault::frame("reset-origin", |seen, way, f| {
        if way == Up && f.has(RST) && f.length == 0x21 && seen.of(f).is_some_and(|s| s.up == b"\0part") { *f = Frame::data(FIN, f.stream, ""); }
        Does::Pass
    }),
    Fault::frame("reset-visitor", |seen, way, f| {
        if way == Down && f.has(RST) && seen.of(f).is_some_and(|s| s.down == b"part") { *f = Frame::data(FIN, f.stream, ""); }
        Does::Pass
    }),
    Fault::frame("reset-http", |seen, way, f| {
        if way == Up && f.has(RST) && seen.of(f).is_some_and(|s| s.up.ends_with(b"4\r\npart\r\n")) { *f = Frame::data(FIN, f.stream, "0\r\n\r\n"); }
        Does::Pass
    }),
    Fault::frame("bulk", |seen, way, f| {
        if way == Up && f.kind == DATA && seen.of(f).is_some_and(|s| s.up_bytes > 1 << 20) && let Some(byte) = f.body.last_mut() { *byte ^= 1; }
        Does::Pass
    }),
    Fault::frame("stalled-readers", |seen, way, f| {
        let standing = seen.streams.values().filter(|s| s.down_bytes > 100_000).count();
        let other = seen.of(f).is_some_and(|s| s.down_bytes < 100_000);
        if way == Down && standing >= 8 && other && !f.has(SYN) { Does::Drop } else { Does::Pass }
    }),
    Fault::frame("silent-streams", |_, way, f| if way == Down && f.has(SYN) && f.stream > 400 { Does::Drop } else { Does::Pass }),
    Fault::frame("datagrams", |_, way, f| {
        if way == Down && f.has(SYN) && f.body.get(13) == Some(&0x12) { f.body[13] = 0x11; }
        Does::Pass
    }),
    Fault::line("conflict", |_, way, _, v| bound_if(way == Down && v["id"] == 9 && v["code"] == 6, v)),
    Fault::line("resume", |_, way, _, v| set_if(way == Up && v["resume"].is_string(), v, "resume", json!("nothing"))),
    Fault::line("resume-unknown", |_, way, _, v| break_if(way == Up && v["resume"] == "this means nothing")),
    Fault::ask("upgrade", |request| if request.alpn && request.head.contains("Upgrade: adit-mux") && request.head.starts_with("GET") {
        Ask::Change(|answer| answer.replace("adit-mux", "adit-mix"))
    } else { Ask::Pass }),
    Fault::ask("upgrade-no-alpn", |request| if request.alpn { Ask::Pass } else { Ask::Answer(400) }),
    Fault::ask("upgrade-refused", |request| if request.head.starts_with("POST") { Ask::Instead(request.head.replacen("POST", "GET", 1)) } else { Ask::Pass }),
    Fault::ask("upgrade-own-names", |request| if request.own_name { Ask::Pass } else { Ask::Instead(request.head.replacen("Host: ", "Host: x", 1)) }),
    Fault::frame("mux-ack", |_, way, f| { if way == Down && f.stream == 1 { f.flags &= !ACK; } Does::Pass }),
    Fault::frame("mux-ping", |_, way, f| { if f.kind == PING && f.length == 0xFEED_BEEF && way == Down { f.length = 1; } Does::Pass }),
    Fault::frame("mux-pings", |_, way, f| if way == Down && f.kind == PING && f.has(SYN) { Does::Drop } else { Does::Pass }),
    Fault::frame("mux-version", |_, _, f| if f.version == 1 { Does::Drop } else { Does::Pass }),
    Fault::frame("mux-type", |_, _, f| if f.kind == 4 { Does::Drop } else { Does::Pass }),
    Fault::frame("mux-even", |_, way, f| if way == Up && f.has(SYN) && f.stream == 2 { Does::Drop } else { Does::Pass }),
    Fault::frame("mux-overrun", |_, _, f| if f.stream == 1 && f.body.len() > 262_144 { Does::Drop } else { Does::Pass }),
    Fault::frame("mux-window", |_, way, f| if way == Down && f.body.ends_with(&[7; 64]) {
        Does::Instead(vec![(Down, f.clone()), (Down, Frame::data(0, f.stream, f.body.clone()))])
    } else { Does::Pass }),
    Fault::frame("mux-refusals", |seen, way, f| {
        if way == Down && f.stream == 3 && f.has(RST) && seen.of(f).is_some_and(|s| s.up == b"\n") { f.length = 0x21; }
        Does::Pass
    }),
    Fault::line("mux-code", |_, way, _, v| set_if(way == Up && v["token"] == "another nonsense", v, "v", json!([0]))),
    Fault::frame("mux-go-away", |seen, way, f| if way == Up && f.kind == GO_AWAY && seen.streams.is_empty() { Does::Drop } else { Does::Pass }),
    Fault::frame("mux-reset-zero", |_, way, f| {
        if way == Up && f.has(RST) && f.length == 0 { *f = Frame::data(FIN, f.stream, ""); }
        Does::Pass
    }),
];

#[rustfmt::skip]
pub(crate) const OVER_SINGLE: &[Fault] = &[
    Fault::ask("single-no-token", |r| answer_if(r.head.contains("adit-single") && !r.head.contains("Bearer") && !r.head.contains("?access_token"), 200)),
    Fault::ask("single-forged", |r| {
        let known = [&r.seen.world.token, &r.seen.world.expired].iter().any(|t| r.head.contains(t.as_str()));
        answer_if(r.head.contains("Bearer") && !known, 200)
    }),
    Fault::ask("single-expired", |r| answer_if(r.head.contains(&r.seen.world.expired), 200)),
    Fault::ask("single-url", |r| answer_if(r.head.contains("?access_token"), 200)),
    Fault::ask("single-bind", |r| answer_if(r.head.contains("Adit-Bind: nonsense"), 200)),
    Fault::ask("single-forbidden", |r| answer_if(r.head.contains("not-granted"), 200)),
    Fault::ends("single-visit", Ends::NotDown),
    Fault::ends("single-reset", Ends::CleanUp),
    Fault::ask("single-nobody", |r| answer_if(r.head.contains("\"id\":6"), 200)),
];

fn answer_if(condition: bool, status: u16) -> Ask {
    if condition {
        Ask::Answer(status)
    } else {
        Ask::Pass
    }
}

/// What was refused is bound.
fn bound_if(condition: bool, line: &Value) -> Line {
    let bound = json!({"t": "bound", "id": line["id"], "kind": "http", "host": "x.example"});
    if condition {
        Line::Instead(format!("{bound}\n"))
    } else {
        Line::Pass
    }
}

/// The visit's trace becomes a bind.
fn second_bind(head: &mut [u8]) {
    let mut at = 28;
    while at + 3 <= head.len() && head[at] != 0x05 {
        at += 3 + usize::from(u16::from_be_bytes([head[at + 1], head[at + 2]]));
    }
    head[at] = 0xE0;
}

/// A name in a head is another one of the same length.
fn other_name(condition: bool, frame: &mut Frame, name: &str) {
    if condition
        && let Some(at) = frame
            .body
            .windows(name.len())
            .position(|at| at == name.as_bytes())
    {
        frame.body[at] = b'z';
    }
}
