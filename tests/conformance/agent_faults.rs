//! A broken agent for each case.

use std::sync::atomic::Ordering;

use conformance::frame::{ACK, DATA, FIN, Frame, GO_AWAY, PING, RST, SYN};
use serde_json::json;

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
    Fault::frame("one-stream", |_, way, f| if way == Up && f.stream == 1 && f.has(SYN) {
        Does::Instead(vec![(Up, f.clone()), (Up, Frame::data(SYN, 3, "x"))])
    } else { Does::Pass }),
    Fault::frame("half-close-visitor", |seen, way, f| {
        if way == Down && seen.of(f).is_some_and(|s| s.down == b"question") { f.flags &= !FIN; }
        Does::Pass
    }),
    Fault::frame("half-close-origin", |seen, way, f| {
        if way == Up && f.has(FIN) && seen.of(f).is_some_and(|s| s.up == b"\0first") { *f = Frame::new(1, RST, f.stream, 0x21); }
        Does::Pass
    }),
    Fault::frame("reset-visitor", |seen, way, f| {
        if way == Down && f.has(RST) && seen.of(f).is_some_and(|s| s.down == b"part") { *f = Frame::data(FIN, f.stream, ""); }
        Does::Pass
    }),
    Fault::frame("reset-origin", |seen, way, f| {
        if way == Up && f.has(RST) && seen.of(f).is_some_and(|s| s.up == b"\0part") { *f = Frame::data(FIN, f.stream, ""); }
        Does::Pass
    }),
    Fault { ends: Ends::Late, ..Fault::frame("session-lost", |seen, way, f| {
        let lost = seen.streams.iter().filter(|(_, s)| way == Down && f.kind == GO_AWAY && s.down == b"lost");
        let ends: Vec<_> = lost.map(|(id, _)| (Down, Frame::data(FIN, *id, ""))).collect();
        if ends.is_empty() { Does::Pass } else { Does::Instead(ends) }
    }) },
    Fault::frame("silent-streams", |_, way, f| if way == Down && f.has(SYN) && f.stream > 400 { Does::Drop } else { Does::Pass }),
    Fault::line("lines", |_, way, text, _| break_if(way == Down && text == "\r\n")),
    Fault::line("line-longest", |_, way, text, _| if way == Down && text.len() == 16_384 { Line::Instead(format!(" {text}")) } else { Line::Pass }),
    Fault::line("line-too-long", |_, way, text, _| drop_if(way == Down && text.len() == 16_385)),
    Fault::line("line-json", |_, _, text, _| drop_if(text == "{\"t\":\n")),
    Fault::line("unknown", |_, _, _, v| break_if(v["t"] == "tomorrow" && v["n"] == 1)),
    Fault::line("crit", |_, _, _, v| drop_if(v["t"] == "tomorrow" && v["crit"].is_array())),
    Fault::line("hello", |_, _, _, v| set_if(v["t"] == "hello", v, "v", json!([2]))),
    Fault::line("ping", |_, way, _, v| set_if(way == Up && v["n"] == (1_u64 << 53) - 1, v, "n", json!(1))),
    Fault::line("error", |_, way, _, v| drop_if(way == Down && v["t"] == "error")),
    Fault::line("drain", |_, way, _, v| drop_if(way == Down && v["t"] == "drain")),
    Fault::frame("heads", |_, way, f| if way == Down && f.stream == 2 && contains(&f.body, b"tomorrow") { Does::Drop } else { Does::Pass }),
    Fault::frame("head-malformed", |_, way, f| if way == Down && f.body.starts_with(b"GET / HTTP") { Does::Drop } else { Does::Pass }),
    Fault::frame("head-datagrams", |_, way, f| {
        if way == Down && f.has(SYN) && f.body.get(13) == Some(&0x12) { f.body[13] = 0x11; }
        Does::Pass
    }),
    Fault::frame("visit", |_, way, f| if way == Down && f.body == b"hello, origin" { Does::Drop } else { Does::Pass }),
    Fault::frame("status-first", |seen, way, f| if way == Up && f.body == [0] && seen.of(f).is_some_and(|s| s.down == b"status first") {
        Does::Drop
    } else { Does::Pass }),
    Fault::frame("status-refused", |seen, way, f| {
        if way == Up && f.body == [0x20] && seen.of(f).is_some_and(|s| s.down == b"refuse me") { f.body = vec![0]; }
        Does::Pass
    }),
    Fault::frame("stream-limit", |_, way, f| { if way == Up && f.has(RST) && f.length == 0x22 { f.length = 0x21; } Does::Pass }),
    Fault::ask("again", |request| if request.seen.world.connections.load(Ordering::Relaxed) > 1 { Ask::Answer(503) } else { Ask::Pass }),
    Fault::frame("mux-ack", |_, way, f| { if way == Up && f.stream == 2 { f.flags &= !ACK; } Does::Pass }),
    Fault::frame("mux-ping", |_, way, f| { if way == Up && f.kind == PING && f.length == 0xFEED_BEEF { f.length = 1; } Does::Pass }),
    Fault::frame("mux-version", |_, _, f| if f.version == 1 { Does::Drop } else { Does::Pass }),
    Fault::frame("mux-window", |_, way, f| if way == Up && f.kind == DATA && f.body.ends_with(&[7; 64]) {
        Does::Instead(vec![(Up, f.clone()), (Up, Frame::data(0, f.stream, f.body.clone()))])
    } else { Does::Pass }),
    Fault::frame("stalled-origins", |seen, way, f| {
        let standing = seen.streams.values().filter(|s| s.down_bytes > 100_000).count();
        let other = seen.of(f).is_some_and(|s| s.down_bytes < 100_000);
        if way == Down && standing >= 8 && other { Does::Drop } else { Does::Pass }
    }),
];
