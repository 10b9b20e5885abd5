//! The events of docs/cli.md.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use crate::failure::Failure;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event {
    Provider(Provider),
    Started(Started),
    Connecting {
        edge: String,
        transport: String,
    },
    Ready(Ready),
    Visit(Visit),
    Hint {
        message: String,
    },
    Disconnected {
        reason: String,
        code: Option<u8>,
        retry_ms: u64,
    },
    Stopped {
        reason: String,
    },
    /// `adit run` has read its file.
    Config {
        file: String,
        added: Vec<String>,
        changed: Vec<String>,
        removed: Vec<String>,
        /// Why the file changes nothing.
        error: Option<String>,
    },
    /// One tunnel of `adit run` cannot be had, or was taken away.
    Refused {
        name: String,
        reason: String,
        /// None when only another file can help.
        retry_ms: Option<u64>,
    },
    Error {
        name: String,
        exit: u8,
        message: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Provider {
    pub(crate) server: String,
    pub(crate) edge: String,
    pub(crate) http: Vec<String>,
    pub(crate) https: Vec<String>,
    pub(crate) admin: String,
    pub(crate) ca: PathBuf,
    pub(crate) data_dir: PathBuf,
    pub(crate) zone: String,
    /// What a person should know and no program needs: a port that moved.
    #[serde(skip)]
    pub(crate) notes: Vec<String>,
}

/// A process of a provider has bound everything that it listens on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Started {
    pub(crate) role: &'static str,
    /// The URL of the control plane; empty where it is not known yet.
    pub(crate) server: String,
    pub(crate) edge: Option<String>,
    pub(crate) https: Vec<String>,
    pub(crate) quic: Vec<String>,
    pub(crate) http: Vec<String>,
    pub(crate) control: Vec<String>,
    pub(crate) admin: Vec<String>,
    pub(crate) zone: Option<String>,
    pub(crate) data_dir: PathBuf,
    /// Of the provider's own CA, where there are no certificates from files.
    pub(crate) ca: Option<PathBuf>,
    /// Where the administrator's key was written, if this start made it.
    pub(crate) credential: Option<PathBuf>,
    /// What a person should know.
    #[serde(skip)]
    pub(crate) notes: Vec<String>,
}

/// Addresses as they stand in events.
pub(crate) fn texts(addresses: &[std::net::SocketAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Ready {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) urls: Vec<String>,
    pub(crate) target: String,
    pub(crate) edge: String,
    pub(crate) session: String,
    pub(crate) transport: String,
    pub(crate) rtt_ms: Option<f64>,
    pub(crate) why: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Visit {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) ms: u64,
    pub(crate) up: u64,
    pub(crate) down: u64,
}

impl Event {
    pub(crate) fn of_failure(failure: &Failure) -> Self {
        Self::Error {
            name: failure.exit().name().to_owned(),
            exit: failure.exit() as u8,
            message: failure.to_string(),
        }
    }
}

/// An event with the time at which it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Stamped<'a> {
    #[serde(flatten)]
    event: &'a Event,
    /// Which of the tunnels of `adit run` it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<&'a str>,
    time: u64,
}

impl<'a> Stamped<'a> {
    pub(crate) fn now(tunnel: Option<&'a str>, event: &'a Event) -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            event,
            tunnel,
            time: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_object() {
        let event = Event::Disconnected {
            reason: "gone".into(),
            code: None,
            retry_ms: 500,
        };
        let json = serde_json::to_value(Stamped {
            event: &event,
            tunnel: None,
            time: 7,
        })
        .unwrap();
        let expected = serde_json::json!(
            {"event": "disconnected", "reason": "gone", "code": null, "retry_ms": 500, "time": 7}
        );
        assert_eq!(json, expected);
    }
}
