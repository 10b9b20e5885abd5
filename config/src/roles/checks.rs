//! What no single key can tell: what a role needs, and what does not go together.

use std::{net::SocketAddr, time::Duration};

use model::{Hostname, Label, Network};

use super::{Common, ControlPlaneSettings, EdgeSettings, Etcd, StoreSettings};
use crate::{BaseUrl, File, Problem, StoreKind, defaults};

/// Shorter, and an agent would ask for tokens all the time; longer, and a stolen one would be worth as much as a key.
const TOKEN_TTL: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(24 * 3600);
const SESSION_TTL: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);

/// Problems, as they are found.
pub(super) struct Found<'f> {
    pub(super) file: &'f File,
    problems: Vec<Problem>,
}

/// A key that a role cannot do without.
pub(super) struct Needs {
    pub(super) key: &'static str,
    pub(super) why: &'static str,
    pub(super) advice: &'static str,
}

impl<'f> Found<'f> {
    pub(super) const fn new(file: &'f File) -> Self {
        Self {
            file,
            problems: Vec::new(),
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn problems(&mut self, problems: Vec<Problem>) {
        self.problems.extend(problems);
    }

    fn wrong(&mut self, key: &str, message: impl std::fmt::Display, advice: &str) {
        let problem = self.file.places.problem(key, message).advise(advice);
        self.problem(problem);
    }

    pub(super) fn settled<T>(
        mut self,
        settings: impl FnOnce() -> Option<T>,
    ) -> Result<T, Vec<Problem>> {
        match settings() {
            Some(settings) if self.problems.is_empty() => Ok(settings),
            _ => {
                self.problems.sort_by_key(|problem| problem.at);
                Err(self.problems)
            }
        }
    }

    pub(super) fn needs(&mut self, needs: Needs, is_there: bool) {
        // What is there and could not be read has been complained of already.
        if !is_there && self.file.places.of(needs.key).is_none() {
            let problem = Problem::new(needs.key, format!("is missing: {}", needs.why));
            self.problem(problem.advise(needs.advice));
        }
    }

    pub(super) fn has<T>(&mut self, needs: Needs, value: Option<T>) -> Option<T> {
        self.needs(needs, value.is_some());
        value
    }

    pub(super) fn needs_zone(&mut self) -> Option<Hostname> {
        let needs = Needs {
            key: "zone",
            why: "names of endpoints end in it",
            advice: "zone = \"t.example.com\", or --zone t.example.com",
        };
        self.has(needs, self.file.zone.clone())
    }

    pub(super) fn under_zone(&mut self, zone: &Hostname, label: &str) -> Option<Hostname> {
        let name = label.parse::<Label>().and_then(|label| zone.child(&label));
        match name {
            Ok(name) => Some(name),
            Err(error) => {
                self.wrong("zone", error, "choose a shorter zone");
                None
            }
        }
    }

    /// An embedded store is one process's own.
    pub(super) fn needs_shared_store(&mut self, common: &Common, command: &str) {
        if common.store == StoreSettings::Embedded {
            self.wrong(
                "store.kind",
                format!("{command} shares its store with other processes, and an embedded one cannot be shared"),
                "kind = \"etcd\", with endpoints = [\"https://HOST:2379\"]; or run everything in one process: adit serve",
            );
        }
    }

    pub(super) fn store(&mut self, default: StoreKind) -> StoreSettings {
        let store = &self.file.store;
        match store.kind.unwrap_or(default) {
            StoreKind::Embedded => {
                let keys = [
                    "endpoints",
                    "namespace",
                    "user",
                    "password_file",
                    "ca",
                    "certificate",
                    "key",
                ];
                for key in keys.map(|key| format!("store.{key}")) {
                    if self.file.places.of(&key).is_some() {
                        self.wrong(
                            &key,
                            "an embedded store has no such thing",
                            "kind = \"etcd\", or leave it out",
                        );
                    }
                }
                StoreSettings::Embedded
            }
            StoreKind::Etcd => StoreSettings::Etcd(self.etcd()),
        }
    }

    fn etcd(&mut self) -> Etcd {
        let store = &self.file.store;
        let endpoints = store.endpoints.clone().unwrap_or_default();
        let needs = Needs {
            key: "store.endpoints",
            why: "etcd is reached there",
            advice: "endpoints = [\"https://HOST:2379\"]",
        };
        self.needs(needs, !endpoints.is_empty());
        if store.user.is_none() && store.password_file.is_some() {
            self.wrong(
                "store.password_file",
                "a password without a user",
                "user = \"NAME\"",
            );
        }
        let certificate = match (&store.certificate, &store.key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            (Some(_), None) => {
                self.wrong(
                    "store.certificate",
                    "a certificate needs its key",
                    "key = FILE",
                );
                None
            }
            (None, Some(_)) => {
                self.wrong(
                    "store.key",
                    "a key needs its certificate",
                    "certificate = FILE",
                );
                None
            }
        };
        let clear = endpoints.iter().any(|url| !url.is_secure());
        if clear && (store.ca.is_some() || certificate.is_some()) {
            self.wrong(
                "store.endpoints",
                "certificates are of no use over http://",
                "https://HOST:2379",
            );
        }
        Etcd {
            endpoints,
            namespace: store
                .namespace
                .clone()
                .unwrap_or_else(|| defaults::NAMESPACE.into()),
            user: store.user.clone(),
            password_file: store.password_file.clone(),
            ca: store.ca.clone(),
            certificate,
        }
    }

    pub(super) fn only_for_edges(&mut self) {
        for key in [
            "edge.control_plane",
            "edge.control_plane_ca",
            "edge.role_key_file",
        ] {
            if self.file.places.of(key).is_some() {
                self.wrong(
                    key,
                    "is for edges that run apart from their control plane",
                    "leave it out, or run adit edge",
                );
            }
        }
    }

    pub(super) fn listens(&mut self, key: &str, addresses: &[SocketAddr]) {
        if addresses.is_empty() {
            self.wrong(
                key,
                "nothing would be listened on",
                "name at least one address and port",
            );
        }
    }

    pub(super) fn edge_url(&mut self, url: Option<&BaseUrl>) {
        if url.is_some_and(|url| !url.is_secure()) {
            self.wrong(
                "edge.url",
                "agents come over TLS and QUIC only",
                "https://…",
            );
        }
    }

    pub(super) fn balancers(&mut self, networks: Option<&[Network]>) {
        if networks.is_some_and(|all| all.iter().any(Network::is_everything)) {
            self.wrong(
                "edge.proxy_protocol_from",
                "everybody could say that he is somebody else",
                "name the load balancers, and nobody else",
            );
        }
    }

    pub(super) fn times(&mut self, settings: &ControlPlaneSettings) {
        let bounds = [
            ("control-plane.token_ttl", settings.token_ttl, TOKEN_TTL),
            (
                "control-plane.session_ttl",
                settings.session_ttl,
                SESSION_TTL,
            ),
        ];
        for (key, time, allowed) in bounds {
            if !allowed.contains(&time) {
                let show = crate::show_duration;
                let message = format!(
                    "is not from {} to {}",
                    show(*allowed.start()),
                    show(*allowed.end())
                );
                self.wrong(key, message, "choose a time between the two");
            }
        }
    }

    /// Edges elsewhere cannot reach what listens on loopback or on every address.
    pub(super) fn forwardable(&mut self, settings: &ControlPlaneSettings) {
        let unreachable = |addr: &SocketAddr| addr.ip().is_unspecified() || addr.port() == 0;
        if self.file.control_plane.forward.is_none() && settings.listen.iter().any(unreachable) {
            self.wrong(
                "control-plane.listen",
                "edges are told to forward the provider's page to this address, and it is none that they could connect to",
                "forward = [\"HOST:4470\"]: how edges reach this control plane",
            );
        }
    }

    /// One machine: the edge forwards the name of the control plane, and agents come by another.
    pub(super) fn serve_names(&mut self, edge: &EdgeSettings, control: &ControlPlaneSettings) {
        let page = control.url.hostname();
        if !control.url.is_secure() || page.is_none() {
            self.wrong(
                "control-plane.url",
                "the control plane is reached by a name, through the edge and its TLS",
                "https://adit.ZONE",
            );
        }
        if page.is_some_and(|page| edge.names.contains(&page)) {
            self.wrong(
                "edge.names",
                "the name of the control plane is another one than the edge's",
                "names = [\"edge.ZONE\"]",
            );
        }
    }
}
