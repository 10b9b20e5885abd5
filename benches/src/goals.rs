//! What adit is to reach, and against what it is held.

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// At least so many times the value of two chained nginx
    TimesNginx(f64),
    /// At most so much
    AtMost(f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Goal {
    /// The begin of the row's name
    pub(crate) row: &'static str,
    pub(crate) metrics: &'static [&'static str],
    pub(crate) bound: Bound,
    pub(crate) what: &'static str,
}

const BULK: &[&str] = &["down1", "up1", "down16", "up16"];

pub(crate) const ALL: [Goal; 8] = [
    goal(
        "adit-tcp-mux",
        BULK,
        Bound::TimesNginx(0.6),
        "bulk over TCP, mean of four",
    ),
    goal(
        "adit-tcp-quic",
        BULK,
        Bound::TimesNginx(0.35),
        "bulk over QUIC, mean of four",
    ),
    goal(
        "adit-tcp-mux",
        &["connections32"],
        Bound::TimesNginx(1.25),
        "new connections, 32 at a time",
    ),
    goal(
        "adit-tcp-mux",
        &["requests64"],
        Bound::TimesNginx(1.2),
        "keep-alive, 64 connections",
    ),
    goal(
        "adit-tcp",
        &["idle-edge"],
        Bound::AtMost(4096.0),
        "bytes per idle stream at the edge",
    ),
    goal(
        "adit-tcp",
        &["idle-agent"],
        Bound::AtMost(4096.0),
        "bytes per idle stream at the agent",
    ),
    goal(
        "adit-tcp",
        &["agent-edge"],
        Bound::AtMost(40_960.0),
        "bytes per idle agent at the edge",
    ),
    goal(
        "adit-http",
        &["first"],
        Bound::AtMost(30.0),
        "milliseconds to the first 200",
    ),
];

const fn goal(
    row: &'static str,
    metrics: &'static [&'static str],
    bound: Bound,
    what: &'static str,
) -> Goal {
    Goal {
        row,
        metrics,
        bound,
        what,
    }
}
