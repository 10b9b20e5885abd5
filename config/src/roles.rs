//! What each command is run with: the file, and defaults where it says nothing.

mod checks;

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use model::{Congestion, EdgeId, Hostname, Network, Region};

use self::checks::{Found, Needs};
use crate::{
    BaseUrl, Certificate, File, HttpMode, LogFormat, Problem, StoreKind, conflicts, defaults, file,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Serve,
    ControlPlane,
    Edge,
}

/// What all three commands have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// None is the machine's own place for it.
    pub data_dir: Option<PathBuf>,
    pub store: StoreSettings,
    pub admin: Vec<SocketAddr>,
    pub log: LogSettings,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSettings {
    Embedded,
    Etcd(Etcd),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etcd {
    pub endpoints: Vec<BaseUrl>,
    pub namespace: String,
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
    pub ca: Option<PathBuf>,
    /// Of this client, with its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    pub level: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlaneSettings {
    pub zone: Hostname,
    pub listen: Vec<SocketAddr>,
    /// What the world knows this provider by: the `iss` of its tokens.
    pub url: BaseUrl,
    /// Where edges forward the reserved names to.
    pub forward: Vec<String>,
    /// Names that nobody may claim, besides the one in `url`.
    pub reserved: Vec<Hostname>,
    pub tcp_ports: RangeInclusive<u16>,
    pub token_ttl: Duration,
    pub session_ttl: Duration,
    /// None is a file in the data directory.
    pub key_encryption_key_file: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeSettings {
    pub id: EdgeId,
    pub region: Region,
    pub names: Vec<Hostname>,
    pub https: Vec<SocketAddr>,
    pub quic: Vec<SocketAddr>,
    pub http: Vec<SocketAddr>,
    pub http_mode: HttpMode,
    pub tcp_hosts: Vec<IpAddr>,
    /// Load balancers, whose word on their visitors is taken.
    pub proxy_protocol_from: Vec<Network>,
    /// Where agents come.
    pub url: BaseUrl,
    /// The port in visitors' URLs.
    pub https_port: u16,
    pub certificates: Vec<Certificate>,
    /// Of what agents are sent.
    pub congestion: Congestion,
    pub drain: Duration,
    pub max_visitors: u64,
    pub max_sessions: u64,
    /// Connections of agents that have not said who they are.
    pub max_strangers: u64,
    pub max_strangers_per_address: u64,
}

/// How an edge learns what it serves for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    pub control_plane: BaseUrl,
    pub ca: Option<PathBuf>,
    pub role_key_file: Option<PathBuf>,
}

/// `adit serve`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    pub common: Common,
    pub control_plane: ControlPlaneSettings,
    pub edge: EdgeSettings,
}

/// `adit control-plane`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlaneRole {
    pub common: Common,
    pub control_plane: ControlPlaneSettings,
}

/// `adit edge`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeRole {
    pub common: Common,
    pub edge: EdgeSettings,
    pub join: Join,
}

impl Role {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::ControlPlane => "control-plane",
            Self::Edge => "edge",
        }
    }

    /// Everything that a file lacks or has too much of for this role.
    pub fn problems(self, file: &File) -> Vec<Problem> {
        let problems = match self {
            Self::Serve => Serve::of(file).err(),
            Self::ControlPlane => ControlPlaneRole::of(file).err(),
            Self::Edge => EdgeRole::of(file).err(),
        };
        problems.unwrap_or_default()
    }
}

impl Serve {
    pub fn of(file: &File) -> Result<Self, Vec<Problem>> {
        let mut found = Found::new(file);
        let common = common(&mut found, StoreKind::Embedded);
        let zone = found.needs_zone();
        let edge = edge(&mut found, Role::Serve, zone.as_ref());
        let control_plane = control_plane(&mut found, zone, edge.as_ref());
        found.only_for_edges();
        if let (Some(edge), Some(control)) = (&edge, &control_plane) {
            found.problems(conflicts::between(
                file,
                &[
                    conflicts::of_edge(edge, &control.tcp_ports),
                    conflicts::of_control_plane(control),
                    conflicts::of_common(&common),
                ],
            ));
            found.serve_names(edge, control);
        }
        found.settled(|| {
            Some(Self {
                common,
                control_plane: control_plane?,
                edge: edge?,
            })
        })
    }
}

impl ControlPlaneRole {
    pub fn of(file: &File) -> Result<Self, Vec<Problem>> {
        let mut found = Found::new(file);
        let common = common(&mut found, StoreKind::Etcd);
        let zone = found.needs_zone();
        let control_plane = control_plane(&mut found, zone, None);
        found.needs_shared_store(&common, "adit control-plane");
        found.needs(
            Needs {
                key: "control-plane.key_encryption_key_file",
                why: "all control planes of a provider have one key",
                advice: "openssl rand -base64 32 > FILE; chmod 600 FILE; give the same file to each",
            },
            file.control_plane.key_encryption_key_file.is_some(),
        );
        if let Some(control) = &control_plane {
            found.problems(conflicts::between(
                file,
                &[
                    conflicts::of_control_plane(control),
                    conflicts::of_common(&common),
                ],
            ));
            found.forwardable(control);
        }
        found.settled(|| {
            Some(Self {
                common,
                control_plane: control_plane?,
            })
        })
    }
}

impl EdgeRole {
    pub fn of(file: &File) -> Result<Self, Vec<Problem>> {
        let mut found = Found::new(file);
        let common = common(&mut found, StoreKind::Etcd);
        let edge = edge(&mut found, Role::Edge, None);
        found.needs_shared_store(&common, "adit edge");
        let control_plane = found.has(
            Needs {
                key: "edge.control_plane",
                why: "an edge asks a control plane what it serves for",
                advice: "control_plane = \"http://HOST:4470\"",
            },
            file.edge.control_plane.clone(),
        );
        if let Some(edge) = &edge {
            found.problems(conflicts::between(
                file,
                &[
                    conflicts::of_edge(edge, &(1..=1)),
                    conflicts::of_common(&common),
                ],
            ));
        }
        let join = control_plane.map(|control_plane| Join {
            control_plane,
            ca: file.edge.control_plane_ca.clone(),
            role_key_file: file.edge.role_key_file.clone(),
        });
        found.settled(|| {
            Some(Self {
                common,
                edge: edge?,
                join: join?,
            })
        })
    }
}

fn common(found: &mut Found<'_>, kind: StoreKind) -> Common {
    let file = found.file;
    Common {
        data_dir: file.data_dir.clone(),
        store: found.store(kind),
        admin: or_else(&file.admin.listen, || defaults::here(defaults::ADMIN)),
        log: LogSettings {
            format: file.log.format.unwrap_or_default(),
            level: or_else(&file.log.level, || defaults::LEVEL.into()),
        },
    }
}

fn control_plane(
    found: &mut Found<'_>,
    zone: Option<Hostname>,
    edge: Option<&EdgeSettings>,
) -> Option<ControlPlaneSettings> {
    let (zone, section) = (zone?, &found.file.control_plane);
    let port = edge.map_or(defaults::HTTPS, |edge| edge.https_port);
    let url = section.url.clone().or_else(|| {
        Some(BaseUrl::https(
            &found.under_zone(&zone, defaults::PAGE_LABEL)?,
            port,
        ))
    })?;
    let listen = or_else(&section.listen, || defaults::here(defaults::CONTROL));
    let forward = section.forward.as_ref().map_or_else(
        || listen.iter().map(ToString::to_string).collect(),
        |given| {
            given
                .iter()
                .map(|file::HostPort(text)| text.clone())
                .collect()
        },
    );
    let settings = ControlPlaneSettings {
        zone,
        listen,
        url,
        forward,
        reserved: or_else(&section.reserved, Vec::new),
        tcp_ports: or_else(&section.tcp_ports, || defaults::TCP_PORTS),
        token_ttl: section.token_ttl.unwrap_or(defaults::TOKEN_TTL),
        session_ttl: section.session_ttl.unwrap_or(defaults::SESSION_TTL),
        key_encryption_key_file: section.key_encryption_key_file.clone(),
    };
    found.times(&settings);
    found.listens("control-plane.listen", &settings.listen);
    Some(settings)
}

fn edge(found: &mut Found<'_>, role: Role, zone: Option<&Hostname>) -> Option<EdgeSettings> {
    let (file, section) = (found.file, &found.file.edge);
    let alone = role == Role::Serve;
    let id = section
        .id
        .clone()
        .or_else(|| alone.then(|| defaults::EDGE_LABEL.parse().ok())?);
    let id = found.has(
        Needs {
            key: "edge.id",
            why: "each edge of a provider has an id of its own",
            advice: "id = \"ams1\"",
        },
        id,
    );
    let names = match (&section.names, zone) {
        (None, Some(zone)) => found
            .under_zone(zone, defaults::EDGE_LABEL)
            .into_iter()
            .collect(),
        (names, _) => names.clone().unwrap_or_default(),
    };
    // Without a zone that could be read, a name is missing for that reason alone.
    let first = if names.is_empty() && alone && section.names.is_none() {
        None
    } else {
        found.has(
            Needs {
                key: "edge.names",
                why: "agents come to an edge by its name",
                advice: "names = [\"ams1.edge.example.com\"]",
            },
            names.first().cloned(),
        )
    };
    let https = or_else(&section.https, || defaults::everywhere(defaults::HTTPS));
    found.listens("edge.https", &https);
    let bound = https.first().map_or(defaults::HTTPS, SocketAddr::port);
    let https_port = section.https_port.unwrap_or(bound);
    let url = section
        .url
        .clone()
        .or_else(|| Some(BaseUrl::https(first.as_ref()?, https_port)));
    found.edge_url(url.as_ref());
    found.balancers(section.proxy_protocol_from.as_deref());
    found.needs(
        Needs {
            key: "certificates",
            why: "an edge shows certificates for its names and for those of endpoints",
            advice: "[[certificates]]\n  certificate = \"/etc/adit/fullchain.pem\"\n  key = \"/etc/adit/privkey.pem\"",
        },
        alone || !file.certificates.is_empty(),
    );
    Some(EdgeSettings {
        id: id?,
        region: section
            .region
            .clone()
            .or_else(|| defaults::REGION.parse().ok())?,
        names,
        quic: or_else(&section.quic, || https.clone()),
        http: or_else(&section.http, || defaults::everywhere(defaults::HTTP)),
        http_mode: section.http_mode.unwrap_or(HttpMode::Redirect),
        tcp_hosts: or_else(&section.tcp_hosts, defaults::hosts_everywhere),
        proxy_protocol_from: or_else(&section.proxy_protocol_from, Vec::new),
        url: url?,
        https_port,
        https,
        certificates: file.certificates.clone(),
        congestion: section.congestion.unwrap_or_default(),
        drain: section.drain.unwrap_or(defaults::DRAIN),
        max_visitors: section.max_visitors.unwrap_or(defaults::VISITORS),
        max_sessions: section.max_sessions.unwrap_or(defaults::SESSIONS),
        max_strangers: section.max_strangers.unwrap_or(defaults::STRANGERS),
        max_strangers_per_address: section
            .max_strangers_per_address
            .unwrap_or(defaults::STRANGERS_PER_ADDRESS),
    })
}

fn or_else<T: Clone>(given: &Option<T>, default: impl FnOnce() -> T) -> T {
    given.clone().unwrap_or_else(default)
}
