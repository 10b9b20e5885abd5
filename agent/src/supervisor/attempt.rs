//! One round of attempts: a token that is still good, then each edge in turn until one gives a welcome.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tunnel::{
    Code, Secret,
    message::{Bind, ErrorMessage, Hello, VERSION},
};

use crate::{
    Issued, Location, TokenSourceError, TokenWhy, TransportChoice,
    policy::verdict::{self, Verdict},
    session::{OpenError, Opened, Opening, open, wall_clock},
    shared::Shared,
};

/// A token this close to its end may be over when the edge reads it.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);
/// How long QUIC gets no head start at an edge where it did not get through.
const UDP_MEMORY: Duration = Duration::from_secs(600);
/// Edges tried in one round; a provider names a few.
const MAX_LOCATIONS: usize = 16;

/// Edges where UDP did not get through, and when that was found.
#[derive(Clone, Debug, Default)]
pub(super) struct UdpMemory(HashMap<Location, Instant>);

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) shared: Arc<Shared>,
    pub(super) binds: Arc<[Bind]>,
    pub(super) resume: Option<Secret>,
    pub(super) udp: UdpMemory,
    pub(super) choice: TransportChoice,
    /// The edge refused the token that we have.
    pub(super) token_refused: bool,
    pub(super) goal: Goal,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Whichever edge takes us.
    Any,
    /// QUIC to the edge that we are at.
    QuicAt(Location),
    /// Away from an edge that drains, to those it named or to others that we know.
    AwayFrom(Location, Vec<Location>),
}

#[derive(Debug)]
pub(super) enum Failure {
    Token(TokenSourceError),
    Refused(ErrorMessage),
    Unreachable(String),
}

impl UdpMemory {
    pub(super) fn learn(&mut self, location: &Location, blocked: bool, now: Instant) {
        self.0.retain(|_, since| *since + UDP_MEMORY > now);
        if blocked {
            if self.0.len() < MAX_LOCATIONS {
                self.0.insert(location.clone(), now);
            }
        } else {
            self.0.remove(location);
        }
    }

    fn failed(&self, location: &Location, now: Instant) -> bool {
        self.0
            .get(location)
            .is_some_and(|since| *since + UDP_MEMORY > now)
    }
}

impl Attempt {
    pub(super) async fn run(self) -> Result<Opened, Failure> {
        let issued = self.token().await.map_err(Failure::Token)?;
        let mut failure = Failure::Unreachable("the provider names no edge".into());
        for location in self.locations(&issued) {
            match open(&self.opening(location, &issued), &self.shared).await {
                Ok(opened) => return Ok(opened),
                Err(OpenError::Refused(error)) => {
                    let gives_up = verdict::of(error.code) == Verdict::GiveUp;
                    failure = Failure::Refused(error);
                    if gives_up {
                        return Err(failure);
                    }
                }
                Err(OpenError::Unreachable(reason)) => failure = Failure::Unreachable(reason),
            }
        }
        Err(failure)
    }

    async fn token(&self) -> Result<Issued, TokenSourceError> {
        let known = self.shared.token(&self.binds);
        let why = match &known {
            None => TokenWhy::Initial,
            Some(_) if self.token_refused => TokenWhy::AfterExpiry,
            Some(issued) if is_over(issued) => TokenWhy::AfterExpiry,
            // The provider had no edge yet when it issued it.
            Some(issued) if known_locations(issued, &self.shared.settings.locations).is_empty() => {
                TokenWhy::Initial
            }
            Some(issued) => return Ok(issued.clone()),
        };
        let issued = self.shared.settings.ask_token(why).await?;
        self.shared
            .keep_token(issued.clone(), Arc::clone(&self.binds));
        Ok(issued)
    }

    fn locations(&self, issued: &Issued) -> Vec<Location> {
        let known = known_locations(issued, &self.shared.settings.locations);
        let mut chosen = match &self.goal {
            Goal::Any => known,
            Goal::QuicAt(location) => vec![location.clone()],
            Goal::AwayFrom(here, named) => {
                let others = named.iter().cloned().chain(known);
                // Here comes last: where there is one edge, its successor will stand at the same place.
                let mut others: Vec<_> = others.filter(|l| l != here).collect();
                others.push(here.clone());
                others
            }
        };
        let mut seen = Vec::new();
        chosen.retain(|location| {
            let new = !seen.contains(location);
            seen.push(location.clone());
            new
        });
        chosen.truncate(MAX_LOCATIONS);
        chosen
    }

    fn opening(&self, location: Location, issued: &Issued) -> Opening {
        let quic_again = matches!(self.goal, Goal::QuicAt(_));
        Opening {
            udp_failed: self.udp.failed(&location, Instant::now()),
            location,
            choice: if quic_again {
                TransportChoice::Quic
            } else {
                self.choice
            },
            quic_again,
            hello: Hello {
                v: vec![VERSION],
                token: issued.token.clone(),
                agent: self.shared.settings.name.clone(),
                bind: (!self.binds.is_empty()).then(|| self.binds.to_vec()),
                resume: self.resume.clone(),
                proof: None,
                visits: self.shared.settings.visits,
                datagrams: true,
            },
        }
    }
}

/// What the provider says, or else what the agent was built with.
fn known_locations(issued: &Issued, built_in: &[Location]) -> Vec<Location> {
    let named: Vec<Location> = issued
        .locations
        .iter()
        .filter_map(|url| url.parse().ok())
        .collect();
    if named.is_empty() {
        built_in.into()
    } else {
        named
    }
}

fn is_over(issued: &Issued) -> bool {
    issued
        .expires
        .is_some_and(|expires| wall_clock().plus(EXPIRY_MARGIN) >= expires)
}

impl Failure {
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(error) => Some(error.code),
            Self::Token(_) | Self::Unreachable(_) => None,
        }
    }

    /// How long the edge asks to be left alone.
    pub(super) fn after(&self) -> Option<Duration> {
        match self {
            Self::Refused(error) => error.after,
            Self::Token(_) | Self::Unreachable(_) => None,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(error) => error.fmt(f),
            Self::Refused(error) => write!(f, "{} ({})", error.msg, error.code.name()),
            Self::Unreachable(reason) => f.write_str(reason),
        }
    }
}
