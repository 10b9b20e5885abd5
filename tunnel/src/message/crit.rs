//! What this version understands, for `crit`: a list in which a sender names the members, or the type, that the other
//! side must not ignore (after the `crit` of RFC 7515, section 4.1.11).

use serde::{Serialize, de::DeserializeOwned};

use super::{AgentMessage, EdgeMessage};

/// A direction of the control stream.
pub trait Vocabulary: Serialize + DeserializeOwned {
    /// The members of a type besides `t` and `crit`; none for a type that is not known.
    fn members(kind: &str) -> Option<&'static [&'static str]>;
}

const ERROR: &[&str] = &["code", "msg", "retry", "after", "id"];

impl Vocabulary for AgentMessage {
    fn members(kind: &str) -> Option<&'static [&'static str]> {
        Some(match kind {
            "hello" => &[
                "v",
                "token",
                "agent",
                "bind",
                "resume",
                "proof",
                "visits",
                "datagrams",
            ],
            "bind" => &["id", "host", "port", "kind", "proto", "host_header"],
            "unbind" => &["id"],
            "token" => &["token"],
            "proof" => &["proof"],
            "drain" | "drained" => &[],
            "ping" | "pong" => &["n"],
            "error" => ERROR,
            _ => return None,
        })
    }
}

impl Vocabulary for EdgeMessage {
    fn members(kind: &str) -> Option<&'static [&'static str]> {
        Some(match kind {
            "welcome" => &[
                "v",
                "session",
                "edge",
                "bound",
                "session_exp",
                "keepalive",
                "limits",
                "edges",
                "resume",
                "datagrams",
                "more",
            ],
            "challenge" => &["nonce"],
            "bound" => &["id", "kind", "url", "host", "port"],
            "unbound" => &["id"],
            "error" => ERROR,
            "drain" => &["after", "deadline", "edges"],
            "ping" | "pong" => &["n"],
            "visit" => &["id", "method", "path", "status", "ms", "up", "down"],
            _ => return None,
        })
    }
}
