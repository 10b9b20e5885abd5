//! The edge under test, and the cases that are asked of it.

mod binds;
mod connect;
mod opening;
mod quic;
mod session;
mod single;
mod streams;
mod table;
mod transfer;
mod upgrade;
mod visitor;
mod wire;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::RootCertStore;
use serde_json::Value;
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tunnel::Secret;

use self::session::Session;
pub use self::table::cases;
use crate::{
    case::{Binding, Case, Finding, Outcome, PATIENT, failed},
    report::{Line, Report},
};

/// Cases that are asked at once: half of what an edge of ours lets one address have before it is known.
const AT_ONCE: usize = 24;
/// For one case, with its turn at the token's endpoints: what a good edge needs, many times over.
const CASE_WITHIN: Duration = Duration::from_secs(180);

/// What is known of the edge, given by whoever wants it tested.
#[derive(Clone, Debug)]
pub struct Edge {
    pub host: String,
    pub port: u16,
    /// Where agents and visitors find it.
    pub address: SocketAddr,
    pub roots: RootCertStore,
    /// A bearer token that is good, alone with its endpoints.
    pub token: Secret,
    /// One of the same kind that has expired.
    pub expired: Option<Secret>,
    /// How long it may take for what should come at once.
    pub patience: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("not the URL of an edge: https://host:port")]
    Url,
    #[error("the edge has no address: {0}")]
    Address(#[from] io::Error),
}

/// What every case is given.
#[derive(Clone)]
pub struct Peer {
    edge: Arc<Edge>,
    binding: Binding,
    /// What the token grants, as a first session was told.
    bound: Arc<Vec<Value>>,
    /// Held by who serves the token's endpoints: they are in one session's hands at a time.
    endpoints: Arc<Mutex<()>>,
}

/// Host, port and address of `https://host:port`. Names below `localhost` are this machine (RFC 6761, section 6.3).
pub async fn find(url: &str) -> Result<(String, u16, SocketAddr), FindError> {
    let uri: http::Uri = url.parse().map_err(|_| FindError::Url)?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("https"));
    let host = host.ok_or(FindError::Url)?.trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(443);
    if host == "localhost" || host.ends_with(".localhost") {
        return Ok((host.into(), port, (Ipv4Addr::LOCALHOST, port).into()));
    }
    let mut found = tokio::net::lookup_host((host, port)).await?;
    let address = found
        .next()
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok((host.into(), port, address))
}

/// Asks `cases` of the edge, each over those of `bindings` that it is about.
///
/// # Errors
/// When not even a first session can be had, no case would tell more than that.
pub async fn run(edge: Edge, cases: Vec<Case<Peer>>, bindings: &[Binding]) -> Outcome<Report> {
    let mut peer = Peer {
        edge: Arc::new(edge),
        binding: Binding::Mux,
        bound: Arc::default(),
        endpoints: Arc::default(),
    };
    peer.bound = Arc::new(grant(&peer, bindings).await?);
    let mut lines = Vec::new();
    // Sessions of single requests end only a minute behind the last one: they come when nobody else needs the endpoints.
    let (singles, others): (Vec<_>, _) = asked(&peer, cases, bindings)
        .into_iter()
        .partition(|asked| asked.peer.binding == Binding::Single);
    for part in [others, singles] {
        lines.extend(ask(part).await?);
    }
    lines.sort_by_key(|(place, line)| (*place, line.binding));
    Ok(Report::new(
        lines.into_iter().map(|(_, line)| line).collect(),
    ))
}

/// A case over one binding.
struct Asked {
    place: usize,
    case: Arc<Case<Peer>>,
    peer: Peer,
}

fn asked(peer: &Peer, cases: Vec<Case<Peer>>, bindings: &[Binding]) -> Vec<Asked> {
    let mut asked = Vec::new();
    for (place, case) in cases.into_iter().enumerate() {
        let case = Arc::new(case);
        for binding in case.bindings.iter().filter(|of| bindings.contains(of)) {
            let peer = Peer {
                binding: *binding,
                ..peer.clone()
            };
            asked.push(Asked {
                place,
                case: Arc::clone(&case),
                peer,
            });
        }
    }
    asked
}

async fn ask(part: Vec<Asked>) -> Outcome<Vec<(usize, Line)>> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut asking = JoinSet::new();
    for Asked { place, case, peer } in part {
        let turns = Arc::clone(&turns);
        asking.spawn(async move {
            let _turn = turns.acquire().await;
            let binding = peer.binding;
            let asking = PATIENT.scope(peer.edge.patience, (case.ask)(peer));
            let asked = timeout(CASE_WITHIN, asking).await;
            let outcome = asked.unwrap_or_else(|_| failed("the case comes to no end"));
            (
                place,
                Line::new((case.name, case.section, case.says), binding, outcome),
            )
        });
    }
    let mut lines = Vec::new();
    while let Some(line) = asking.join_next().await {
        match line {
            Ok(line) => lines.push(line),
            Err(_) => return failed("a case of the kit itself broke"),
        }
    }
    Ok(lines)
}

/// What the token grants: all that a session which asks for nothing in particular is given.
async fn grant(peer: &Peer, bindings: &[Binding]) -> Outcome<Vec<Value>> {
    let binding = if bindings == [Binding::Quic] {
        Binding::Quic
    } else {
        Binding::Mux
    };
    let peer = Peer {
        binding,
        ..peer.clone()
    };
    let (_session, welcome) = Session::serve(&peer).await?;
    let bound = welcome["bound"].as_array().cloned();
    bound.ok_or_else(|| Finding::Failed(format!("no bound in welcome: {welcome}")))
}

impl Peer {
    /// The first endpoint of `kind` that the token grants.
    fn granted(&self, kind: &str) -> Outcome<&Value> {
        let found = self.bound.iter().find(|bound| bound["kind"] == kind);
        found.ok_or_else(|| Finding::NotTested(format!("the token grants no {kind} endpoint")))
    }
}
