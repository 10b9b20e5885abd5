//! Broken edges.

use std::{
    net::Ipv4Addr,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use conformance::{
    Binding, Report,
    edge::{self, Edge, cases},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tests::{Dev, free_ports};
use tokio::task::JoinSet;
use tunnel::Secret;

use crate::{
    edge_faults::{OVER_SINGLE, OVER_THE_MUX},
    fault::Fault,
    proxy::{Behind, Identity, Proxy},
    quic,
    seen::World,
};

/// Broken edges that are tested at a time, each with endpoints of its own.
const LANES: usize = 6;
/// Asked of the edges that break them alone: they wait, or move many bytes.
const LONG: [&str; 6] = [
    "hello-time",
    "status-time",
    "bulk",
    "stalled-readers",
    "silent-streams",
    "single-nobody",
];

/// A token with endpoints, and the edge that serves them.
struct Lane {
    world: Arc<World>,
    behind: Behind,
    identity: Identity,
}

fn provider() -> (Dev, String) {
    let ports = free_ports(20);
    let dev = Dev::start(&["--tcp-ports", &format!("{}-{}", ports.start(), ports.end())]);
    let issued = dev.admin(&["token", "issue", "--host", "expired", "--ttl", "1s"]);
    let until = issued["expires"].as_u64().unwrap();
    // Nothing tells that a second is over but the clock.
    while std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs()
        <= until
    {
        std::thread::sleep(Duration::from_millis(50));
    }
    (dev, issued["token"].as_str().unwrap().to_owned())
}

impl Lane {
    fn new(dev: &Dev, expired: &str, number: u8) -> Self {
        let (http, tls) = (format!("http{number}"), format!("tls{number}"));
        dev.admin(&["endpoint", "claim", &tls, "--kind", "tls"]);
        let port = |kind| {
            let claimed = dev.admin(&["endpoint", "claim", "--kind", kind]);
            claimed["name"]
                .as_str()
                .unwrap()
                .strip_prefix("port:")
                .unwrap()
                .to_owned()
        };
        let (tcp, udp) = (port("tcp"), port("udp"));
        let issued = dev.admin(&[
            "token", "issue", "--host", &http, "--port", &tcp, "--port", &udp, "--host", &tls,
        ]);
        let location = issued["locations"][0].as_str().unwrap();
        let (name, port) = location
            .strip_prefix("https://")
            .unwrap()
            .split_once(':')
            .unwrap();
        let (http, tls) = (format!("{http}.localhost"), format!("{tls}.localhost"));
        let identity = Identity::new(&[name, &http, &tls]);
        Self {
            behind: Behind {
                address: (Ipv4Addr::LOCALHOST, port.parse().unwrap()).into(),
                name: name.to_owned(),
                roots: ca(dev),
                from: Ipv4Addr::new(127, 0, 1, number),
            },
            world: Arc::new(World {
                connections: AtomicUsize::default(),
                token: issued["token"].as_str().unwrap().to_owned(),
                expired: expired.to_owned(),
                http,
                tls,
            }),
            identity,
        }
    }

    /// What the kit says of our edge behind a proxy with this fault.
    async fn test(&self, fault: Fault, binding: Binding) -> Report {
        let proxy = Proxy::start(
            &self.identity,
            self.behind.clone(),
            self.world.clone(),
            fault,
        )
        .await;
        let _quic = (binding == Binding::Quic)
            .then(|| quic::start(&self.identity, proxy.address, fault.case));
        let asked = cases().into_iter().filter(|case| match binding {
            Binding::Quic => quic::FAULTS.contains(&case.name),
            _ => case.name == fault.case || !LONG.contains(&case.name),
        });
        let mut roots = self.behind.roots.clone();
        roots.add(self.identity.certificate.clone()).unwrap();
        let edge = Edge {
            host: self.behind.name.clone(),
            port: proxy.address.port(),
            address: proxy.address,
            roots,
            token: Secret::from(self.world.token.clone()),
            expired: Some(Secret::from(self.world.expired.clone())),
            patience: Duration::from_secs(4),
        };
        // What the token grants is learnt over the mux.
        let bindings = [binding, binding];
        edge::run(edge, asked.collect(), &bindings).await.unwrap()
    }

    async fn each_fails_its_case(self, faults: Vec<Fault>, binding: Binding) -> Vec<String> {
        let mut wrong = Vec::new();
        for fault in faults {
            let report = self.test(fault, binding).await;
            let failures = report.failures();
            if failures != [fault.case] || report.not_tested > 0 {
                wrong.push(format!("{}: {failures:?}\n{report}", fault.case));
            }
        }
        wrong
    }
}

fn ca(dev: &Dev) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(dev.ca()).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}

/// Every broken edge, in lanes side by side.
async fn all(lanes: Vec<Lane>, faults: &[Fault], binding: Binding) {
    let count = lanes.len();
    let mut tasks = JoinSet::new();
    for (at, lane) in lanes.into_iter().enumerate() {
        let of_lane = faults.iter().skip(at).step_by(count).copied().collect();
        tasks.spawn(lane.each_fails_its_case(of_lane, binding));
    }
    let wrong: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn lanes(dev: &Dev, expired: &str, count: usize) -> Vec<Lane> {
    (1..=u8::try_from(count).unwrap())
        .map(|number| Lane::new(dev, expired, number))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_edge_fails_its_case_and_no_other() {
    tests::install_crypto();
    let (dev, expired) = provider();
    all(lanes(&dev, &expired, LANES), OVER_THE_MUX, Binding::Mux).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_is_broken_without_a_mux_fails_its_case_and_no_other() {
    tests::install_crypto();
    let (dev, expired) = provider();
    // Such a session ends only a minute behind its last request: each edge has endpoints of its own.
    let lanes = lanes(&dev, &expired, OVER_SINGLE.len());
    all(lanes, OVER_SINGLE, Binding::Single).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_whose_quic_is_broken_fails_its_case_and_no_other() {
    tests::install_crypto();
    let (dev, expired) = provider();
    let faults = quic::FAULTS.map(Fault::none);
    all(lanes(&dev, &expired, 1), &faults, Binding::Quic).await;
}

/// A case that no broken edge is made for could pass everything.
#[test]
fn every_case_has_a_broken_edge() {
    let broken = OVER_THE_MUX
        .iter()
        .chain(OVER_SINGLE)
        .map(|fault| fault.case);
    let broken: Vec<_> = broken.chain(quic::FAULTS).collect();
    let cases: Vec<_> = cases().iter().map(|case| case.name).collect();
    let missing: Vec<_> = cases.iter().filter(|case| !broken.contains(case)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(cases.len(), broken.len());
}
