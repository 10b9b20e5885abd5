//! The tables of a file.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use model::{Congestion, EdgeId, Hostname, Network, Region};

use crate::{
    BaseUrl, Problem,
    reader::{Reading, Table},
    written,
};

/// No more connections than a process can have file descriptors.
const CONNECTIONS: std::ops::Range<u64> = 1..1_000_001;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    Embedded,
    Etcd,
}

/// `[store]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    pub kind: Option<StoreKind>,
    pub endpoints: Option<Vec<BaseUrl>>,
    pub namespace: Option<String>,
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// `[control-plane]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlPlane {
    pub listen: Option<Vec<SocketAddr>>,
    pub url: Option<BaseUrl>,
    pub forward: Option<Vec<HostPort>>,
    pub reserved: Option<Vec<Hostname>>,
    pub tcp_ports: Option<RangeInclusive<u16>>,
    pub token_ttl: Option<Duration>,
    pub session_ttl: Option<Duration>,
    pub key_encryption_key_file: Option<PathBuf>,
}

/// What becomes of a request in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMode {
    Redirect,
    Serve,
}

/// `[edge]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    pub id: Option<EdgeId>,
    pub region: Option<Region>,
    pub names: Option<Vec<Hostname>>,
    pub https: Option<Vec<SocketAddr>>,
    pub quic: Option<Vec<SocketAddr>>,
    pub http: Option<Vec<SocketAddr>>,
    pub http_mode: Option<HttpMode>,
    pub tcp_hosts: Option<Vec<IpAddr>>,
    pub proxy_protocol_from: Option<Vec<Network>>,
    pub url: Option<BaseUrl>,
    pub https_port: Option<u16>,
    pub control_plane: Option<BaseUrl>,
    pub control_plane_ca: Option<PathBuf>,
    pub role_key_file: Option<PathBuf>,
    pub congestion: Option<Congestion>,
    pub drain: Option<Duration>,
    pub max_visitors: Option<u64>,
    pub max_sessions: Option<u64>,
    pub max_strangers: Option<u64>,
    pub max_strangers_per_address: Option<u64>,
}

/// `[[certificates]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// PEM, the leaf first, the rest of the chain after it.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// `[admin]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    pub listen: Option<Vec<SocketAddr>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    Text,
    Json,
}

/// `[log]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    pub format: Option<LogFormat>,
    pub level: Option<String>,
}

/// `host:port`, resolved each time that it is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort(pub String);

impl std::str::FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_address = text.parse::<SocketAddr>().is_ok_and(|addr| addr.port() > 0);
        let is_name = text.rsplit_once(':').is_some_and(|(host, port)| {
            host.parse::<Hostname>().is_ok() && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if is_address || is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "an address is written host:port here, not {text:?}"
            ))
        }
    }
}

impl Store {
    pub(super) fn read<'t>(mut table: Table<'t>, r: &mut Reading<'t>) -> Self {
        let kinds = [("embedded", StoreKind::Embedded), ("etcd", StoreKind::Etcd)];
        let section = Self {
            kind: table.word(r, "kind", &kinds),
            endpoints: table.list(r, "endpoints"),
            namespace: table.parsed(r, "namespace", namespace),
            user: table.text(r, "user"),
            password_file: table.text(r, "password_file"),
            ca: table.text(r, "ca"),
            certificate: table.text(r, "certificate"),
            key: table.text(r, "key"),
        };
        table.finish(r);
        section
    }
}

/// A prefix of keys in an etcd that others may use as well.
fn namespace(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if text.ends_with('/') && text.len() <= 100 && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a namespace is made of letters, digits, '-', '_', '.' and '/' and ends in '/', not {text:?}"
        ))
    }
}

impl ControlPlane {
    pub(super) fn read<'t>(mut table: Table<'t>, r: &mut Reading<'t>) -> Self {
        let section = Self {
            listen: table.list(r, "listen"),
            url: table.text(r, "url"),
            forward: table.list(r, "forward"),
            reserved: table.list(r, "reserved"),
            tcp_ports: table.parsed(r, "tcp_ports", written::port_range),
            token_ttl: table.parsed(r, "token_ttl", written::time),
            session_ttl: table.parsed(r, "session_ttl", written::time),
            key_encryption_key_file: table.text(r, "key_encryption_key_file"),
        };
        table.finish(r);
        section
    }
}

impl Edge {
    pub(super) fn read<'t>(mut table: Table<'t>, r: &mut Reading<'t>) -> Self {
        let modes = [("redirect", HttpMode::Redirect), ("serve", HttpMode::Serve)];
        let congestions = Congestion::ALL.map(|congestion| (congestion.as_str(), congestion));
        let port = |number| u16::try_from(number).ok();
        let section = Self {
            id: table.text(r, "id"),
            region: table.text(r, "region"),
            names: table.list(r, "names"),
            https: table.list(r, "https"),
            quic: table.list(r, "quic"),
            http: table.list(r, "http"),
            http_mode: table.word(r, "http_mode", &modes),
            tcp_hosts: table.list(r, "tcp_hosts"),
            proxy_protocol_from: table.list(r, "proxy_protocol_from"),
            url: table.text(r, "url"),
            https_port: table.number(r, "https_port", 1..65_536).and_then(port),
            control_plane: table.text(r, "control_plane"),
            control_plane_ca: table.text(r, "control_plane_ca"),
            role_key_file: table.text(r, "role_key_file"),
            congestion: table.word(r, "congestion", &congestions),
            drain: table.parsed(r, "drain", written::time),
            max_visitors: table.number(r, "max_visitors", CONNECTIONS),
            max_sessions: table.number(r, "max_sessions", CONNECTIONS),
            max_strangers: table.number(r, "max_strangers", CONNECTIONS),
            max_strangers_per_address: table.number(r, "max_strangers_per_address", CONNECTIONS),
        };
        table.finish(r);
        section
    }
}

impl Certificate {
    pub(super) fn read<'t>(mut table: Table<'t>, r: &mut Reading<'t>) -> Option<Self> {
        let (certificate, key) = (table.text(r, "certificate"), table.text(r, "key"));
        let missing = table.path_if_missing(certificate.is_none() || key.is_none());
        table.finish(r);
        if let Some(path) = missing {
            let at = r.places.of(&path);
            let message = "a certificate needs both its files: certificate and key";
            r.problems.push(Problem::new(path, message).at(at));
        }
        Some(Self {
            certificate: certificate?,
            key: key?,
        })
    }
}

impl Admin {
    pub(super) fn read<'t>(mut table: Table<'t>, r: &mut Reading<'t>) -> Self {
        let section = Self {
            listen: table.list(r, "listen"),
        };
        table.finish(r);
        section
    }
}

impl Log {
    pub(super) fn read<'t>(mut table: Table<'t>, r: &mut Reading<'t>) -> Self {
        let formats = [
            ("auto", LogFormat::Auto),
            ("text", LogFormat::Text),
            ("json", LogFormat::Json),
        ];
        let section = Self {
            format: table.word(r, "format", &formats),
            level: table.text(r, "level"),
        };
        table.finish(r);
        section
    }
}
