//! The cases, in the order of the specification.

use super::{Peer, opening, streams, wire};
use crate::case::{
    Binding::{self, Mux, Quic},
    Case, case,
};

const BOTH: &[Binding] = &[Quic, Mux];

/// Every case about agents.
#[rustfmt::skip]
pub fn cases() -> Vec<Case<Peer>> {
    vec![
        case!("one-stream", "1", BOTH, opening::one_stream, "opens no stream but the control stream"),
        case!("half-close-visitor", "1", BOTH, streams::half_close_visitor, "lets the origin answer behind the visitor's end"),
        case!("half-close-origin", "1", BOTH, streams::half_close_origin, "lets the visitor go on behind the origin's end"),
        case!("reset-visitor", "1", BOTH, streams::reset_by_visitor, "cuts the origin of a stream that is reset"),
        case!("reset-origin", "1", BOTH, streams::reset_by_origin, "resets the stream of an origin that resets"),
        case!("session-lost", "1", BOTH, streams::session_lost, "cuts origins when the session is lost, and shows them no end"),
        case!("silent-streams", "1", BOTH, streams::silent, "keeps 256 silent streams, and serves one more"),
        case!("lines", "2", BOTH, opening::lines, "reads lines however they are cut, and ignores blank ones"),
        case!("line-longest", "2", BOTH, opening::longest, "reads a line of 16,384 bytes"),
        case!("line-too-long", "2", BOTH, opening::too_long, "ends the session over a line of 16,385 bytes"),
        case!("line-json", "2", BOTH, opening::not_json, "ends the session over a line that is not JSON"),
        case!("unknown", "2", BOTH, opening::unknown, "ignores members and messages that it does not know"),
        case!("crit", "2", BOTH, opening::crit, "ends the session when crit names what it does not know"),
        case!("hello", "2.1", BOTH, opening::hello, "says hello first, with version 1 and its token"),
        case!("ping", "2.2", BOTH, opening::ping, "answers a ping with its number"),
        case!("error", "2.2", BOTH, opening::error, "leaves when the edge tells an error of the session"),
        case!("drain", "2.2", BOTH, opening::drain, "binds elsewhere when the edge drains, says so, and finishes its streams"),
        case!("heads", "3.1", BOTH, streams::heads, "reads every head, and ignores unknown TLVs"),
        case!("head-malformed", "3.1", BOTH, streams::malformed, "resets a stream whose head is malformed with 0x21"),
        case!("head-datagrams", "3.1", BOTH, streams::datagrams, "refuses datagrams for another bind with 0x20"),
        case!("visit", "3.2", BOTH, streams::visit, "carries a visit to its origin"),
        case!("status-first", "3.2", BOTH, streams::status_first, "sends the status before the first byte of the origin"),
        case!("status-refused", "3.2", BOTH, streams::refused, "refuses with 0x20 when the origin does, and ends"),
        case!("stream-limit", "3.2", BOTH, streams::limit, "refuses streams beyond the edge's limits with 0x22"),
        case!("again", "5", BOTH, opening::again, "comes again when its session is lost"),
        case!("mux-ack", "7.3", &[Mux], wire::acknowledged, "acknowledges a stream with its first frame"),
        case!("mux-ping", "7.3", &[Mux], wire::ping, "answers the mux's ping with its number"),
        case!("mux-version", "7.3", &[Mux], wire::version, "ends with 1 over a frame of another version"),
        case!("mux-window", "7.3", &[Mux], wire::window, "sends no more than the window allows"),
        case!("stalled-origins", "11", BOTH, streams::stalled, "serves a ninth stream while eight origins stand still"),
    ]
}
