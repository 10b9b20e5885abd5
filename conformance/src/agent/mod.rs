//! The agent under test, and the cases that are asked of it.

mod host;
mod opening;
mod session;
mod streams;
mod table;
mod wire;

use std::{any::Any, fmt, io, net::IpAddr, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

pub use self::table::cases;
use crate::{
    case::{Binding, Case, Outcome, PATIENT, failed},
    report::{Line, Report},
};

/// Agents that are tested at once.
const AT_ONCE: usize = 6;
/// For one case: what a good agent needs, many times over.
const CASE_WITHIN: Duration = Duration::from_secs(60);

/// What an agent has to be told.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// The edge, `https://host:port`.
    pub url: String,
    /// Good at this edge and nowhere else, so no secret.
    pub token: String,
    /// Where the agent is to forward to, `host:port`.
    pub origin: String,
    /// Who vouches for the edge, as PEM.
    pub ca: String,
}

/// Starts the agent under test; what it returns stops it when dropped.
pub trait Start: Send + Sync {
    /// # Errors
    /// When the agent cannot be started.
    fn start(&self, to: &Invitation) -> io::Result<Box<dyn Any + Send + Sync>>;
}

/// What every case is given.
#[derive(Clone)]
pub struct Peer {
    agent: Arc<dyn Start>,
    /// Where the kit listens.
    ip: IpAddr,
    binding: Binding,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an agent over {}", self.binding)
    }
}

/// Asks `cases` of the agent, each over those of `bindings` that it is about, and each of a new process.
///
/// # Errors
/// When the kit itself breaks.
pub async fn run(
    agent: Arc<dyn Start>,
    ip: IpAddr,
    cases: Vec<Case<Peer>>,
    (bindings, patience): (&[Binding], Duration),
) -> Outcome<Report> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut asking = JoinSet::new();
    for (place, case) in cases.into_iter().enumerate() {
        let case = Arc::new(case);
        for binding in case
            .bindings
            .iter()
            .copied()
            .filter(|of| bindings.contains(of))
        {
            let (turns, case) = (Arc::clone(&turns), Arc::clone(&case));
            let peer = Peer {
                agent: Arc::clone(&agent),
                ip,
                binding,
            };
            asking.spawn(async move {
                let _turn = turns.acquire().await;
                let asked = timeout(CASE_WITHIN, PATIENT.scope(patience, (case.ask)(peer))).await;
                let outcome = asked.unwrap_or_else(|_| failed("the case comes to no end"));
                (
                    place,
                    Line::new((case.name, case.section, case.says), binding, outcome),
                )
            });
        }
    }
    let mut lines = Vec::new();
    while let Some(line) = asking.join_next().await {
        match line {
            Ok(line) => lines.push(line),
            Err(_) => return failed("a case of the kit itself broke"),
        }
    }
    lines.sort_by_key(|(place, line)| (*place, line.binding));
    Ok(Report::new(
        lines.into_iter().map(|(_, line)| line).collect(),
    ))
}
