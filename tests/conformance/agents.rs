//! Our agent, whole and broken.

use std::{
    any::Any,
    io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use agent::{Agent, OriginOptions, StaticToken, Target, forward};
use conformance::{
    Binding, PATIENCE, Report,
    agent::{Invitation, Start, cases, run},
};
use model::Kind;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::task::{AbortHandle, JoinSet};
use tunnel::{Secret, message::Bind};

use crate::{
    agent_faults::OVER_THE_MUX,
    fault::Fault,
    proxy::{Behind, Identity, Proxy},
    seen::World,
};

/// Broken agents that are tested at a time.
const LANES: usize = 4;
/// Asked of the agents that break them alone: they move many bytes, or have many streams.
const LONG: [&str; 2] = ["silent-streams", "stalled-origins"];
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Our agent, behind a proxy if it is to be broken.
struct Ours(Option<Fault>);

struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Start for Ours {
    fn start(&self, to: &Invitation) -> io::Result<Box<dyn Any + Send + Sync>> {
        let serving = tokio::spawn(serve(to.clone(), self.0));
        Ok(Box::new(Running(serving.abort_handle())))
    }
}

async fn serve(to: Invitation, fault: Option<Fault>) {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(to.ca.as_bytes()).unwrap())
        .unwrap();
    let mut url = to.url.clone();
    let mut _proxy = None;
    if let Some(fault) = fault {
        let identity = Identity::new(&[&HERE.to_string()]);
        let address = url.strip_prefix("https://").unwrap().parse().unwrap();
        let behind = Behind {
            address,
            name: HERE.to_string(),
            roots: roots.clone(),
            from: Ipv4Addr::LOCALHOST,
        };
        let proxy = Proxy::start(&identity, behind, Arc::new(World::default()), fault).await;
        roots.add(identity.certificate).unwrap();
        url = format!("https://{}", proxy.address);
        _proxy = Some(proxy);
    }
    let token = StaticToken::new(Secret::from(to.token));
    let agent = Agent::builder()
        .locations([url])
        .roots(roots)
        .tokens(Arc::new(token))
        .build()
        .unwrap();
    let bind = Bind {
        id: 1,
        host: None,
        port: Some(1),
        kind: Kind::Tcp,
        proto: None,
        host_header: None,
    };
    let tunnel = agent.bind(vec![bind]);
    let target: Target = to.origin.parse().unwrap();
    // How it ends is for the kit to see.
    let _ = forward(&tunnel, &target, &OriginOptions::default()).await;
}

async fn test(fault: Option<Fault>, bindings: &[Binding], patience: Duration) -> Report {
    let asked = cases().into_iter().filter(|case| match fault {
        Some(fault) => case.name == fault.case || !LONG.contains(&case.name),
        None => true,
    });
    run(
        Arc::new(Ours(fault)),
        HERE,
        asked.collect(),
        (bindings, patience),
    )
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn our_agent_passes_every_case() {
    tests::install_crypto();
    let report = test(None, &Binding::ALL, PATIENCE).await;
    assert!(report.failed == 0 && report.not_tested == 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_agent_fails_its_case_and_no_other() {
    tests::install_crypto();
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        lanes.spawn(async move {
            let mut wrong = Vec::new();
            for fault in OVER_THE_MUX.iter().skip(lane).step_by(LANES) {
                let report = test(Some(*fault), &[Binding::Mux], Duration::from_secs(4)).await;
                let failures = report.failures();
                if failures != [fault.case] || report.not_tested > 0 {
                    wrong.push(format!("{}: {failures:?}\n{report}", fault.case));
                }
            }
            wrong
        });
    }
    let wrong: Vec<_> = lanes.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_case_has_a_broken_agent() {
    let broken: Vec<_> = OVER_THE_MUX.iter().map(|fault| fault.case).collect();
    let cases: Vec<_> = cases().iter().map(|case| case.name).collect();
    let missing: Vec<_> = cases.iter().filter(|case| !broken.contains(case)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(cases.len(), broken.len());
}
