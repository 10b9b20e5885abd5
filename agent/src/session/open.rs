//! Runs the race of [`crate::policy::race`] against the network.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use model::UnixTime;
use tokio::{net::TcpStream, time::Instant};
use tunnel::{
    Code, Limits, Secret, Transport, TransportKind,
    message::{ErrorMessage, Hello},
    upgrade::{MuxTransport, UpgradeError},
};

use super::{
    Ended,
    greet::{Greeted, Reader, Writer, greet},
};
use crate::{
    Connected, Event, Location, TransportChoice, Why,
    bounds::{self, Bound},
    builder::Settings,
    dial,
    policy::race::{Action, Input, Outcome, Race},
    shared::Shared,
};

/// Handshakes of TCP and TLS, or QUIC; long enough for a bad mobile network.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What to open.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) location: Location,
    pub(crate) choice: TransportChoice,
    /// UDP to this edge failed a short while ago.
    pub(crate) udp_failed: bool,
    /// Because QUIC is tried again.
    pub(crate) quic_again: bool,
    pub(crate) hello: Hello,
}

#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) connected: Connected,
    pub(crate) limits: Limits,
    pub(crate) resume: Option<Secret>,
    /// The binds that the hello asked for by their ids; none when it asked for all that the token grants.
    pub(crate) asked: Option<Vec<u32>>,
    pub(crate) udp_blocked: bool,
}

#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{}", .0.msg)]
    Refused(ErrorMessage),
    #[error("{0}")]
    Unreachable(String),
}

enum Step {
    Dialled(TransportKind, Result<Arc<dyn Transport>, Ended>),
    Greeted(TransportKind, Result<Greeted, Ended>),
}

struct Runner<'a> {
    opening: &'a Opening,
    shared: &'a Arc<Shared>,
    steps: FuturesUnordered<BoxFuture<'a, Step>>,
    /// Connected and waiting for its turn to say hello, by the lane of the race.
    parked: Vec<(TransportKind, Arc<dyn Transport>)>,
    failures: Vec<String>,
}

pub(crate) async fn open(opening: &Opening, shared: &Arc<Shared>) -> Result<Opened, OpenError> {
    let mut runner = Runner {
        opening,
        shared,
        steps: FuturesUnordered::new(),
        parked: Vec::new(),
        failures: Vec::new(),
    };
    let result = runner.run().await;
    for (_, transport) in runner.parked {
        transport.close(Code::Ok, "not needed");
    }
    result
}

impl Runner<'_> {
    async fn run(&mut self) -> Result<Opened, OpenError> {
        let opening = self.opening;
        let (mut race, mut actions) =
            Race::start(opening.choice, opening.udp_failed, Instant::now());
        loop {
            actions.into_iter().for_each(|action| self.act(action));
            if race.outcome() == Outcome::Lost {
                return Err(OpenError::Unreachable(self.failures.join("; ")));
            }
            let timer = race.timer();
            tokio::select! {
                Some(step) = self.steps.next() => match self.input(step)? {
                    (input, None) => actions = race.input(input, Instant::now()),
                    (input, Some(greeted)) => {
                        race.input(input, Instant::now());
                        return Ok(self.opened(greeted, race.udp_seems_blocked()));
                    }
                },
                () = sleep_until(timer) => actions = race.tick(Instant::now()),
            }
        }
    }

    fn act(&mut self, action: Action) {
        let (opening, shared) = (self.opening, self.shared);
        match action {
            Action::Connect(kind) => {
                let transport = match (kind, opening.choice) {
                    (TransportKind::Tcp, TransportChoice::WebSocket) => TransportKind::WebSocket,
                    _ => kind,
                };
                shared.tell(Event::Connecting {
                    location: opening.location.clone(),
                    transport,
                });
                let dialling = dial_edge(kind, opening, shared);
                let step = dialling.map(move |result| Step::Dialled(kind, result));
                self.steps.push(step.boxed());
            }
            Action::SayHello(kind) => {
                let Some(at) = self.parked.iter().position(|(lane, _)| *lane == kind) else {
                    return;
                };
                let greeting = greet(
                    self.parked.swap_remove(at).1,
                    opening.hello.clone(),
                    shared.settings.tokens.key(),
                    opening.location.host(),
                );
                let step = greeting.map(move |result| Step::Greeted(kind, result));
                self.steps.push(step.boxed());
            }
            // Leaving `open` drops what runs and closes what is parked.
            Action::Drop(_) => {}
        }
    }

    fn input(&mut self, step: Step) -> Result<(Input, Option<Greeted>), OpenError> {
        Ok(match step {
            Step::Dialled(kind, Ok(transport)) => {
                self.parked.push((kind, transport));
                (Input::Connected(kind), None)
            }
            Step::Greeted(kind, Ok(greeted)) => (Input::Welcomed(kind), Some(greeted)),
            Step::Dialled(_, Err(Ended::Refused(error)))
            | Step::Greeted(_, Err(Ended::Refused(error))) => {
                return Err(OpenError::Refused(error));
            }
            Step::Dialled(kind, Err(Ended::Lost(reason)))
            | Step::Greeted(kind, Err(Ended::Lost(reason))) => {
                self.failures.push(format!("{kind}: {reason}"));
                (Input::Failed(kind), None)
            }
        })
    }

    fn opened(&self, greeted: Greeted, udp_blocked: bool) -> Opened {
        let Greeted {
            transport,
            reader,
            writer,
            welcome,
        } = greeted;
        let why = match self.opening.choice {
            _ if self.opening.quic_again => Why::UdpBack,
            TransportChoice::Auto if transport.kind() == TransportKind::WebSocket => {
                Why::UpgradeBlocked
            }
            TransportChoice::Auto if udp_blocked => Why::UdpBlocked,
            TransportChoice::Auto => Why::Fastest,
            TransportChoice::Quic | TransportChoice::Tcp | TransportChoice::WebSocket => {
                Why::Chosen
            }
        };
        let asked = self.opening.hello.bind.as_deref();
        let connected = Connected {
            session: welcome.session,
            edge: welcome.edge.to_string(),
            location: self.opening.location.clone(),
            transport: transport.kind(),
            why,
            rtt: transport.rtt(),
            bound: welcome.bound,
            session_expires: welcome.session_exp,
        };
        Opened {
            transport,
            reader,
            writer,
            connected,
            limits: welcome.limits,
            resume: welcome.resume,
            asked: asked.map(|binds| binds.iter().map(|bind| bind.id).collect()),
            udp_blocked,
        }
    }
}

async fn dial_edge(
    kind: TransportKind,
    opening: &Opening,
    shared: &Arc<Shared>,
) -> Result<Arc<dyn Transport>, Ended> {
    let (location, settings) = (&opening.location, &shared.settings);
    match kind {
        TransportKind::Quic => {
            let transport = dial::quic(location, &settings.tls_quic, CONNECT_TIMEOUT).await;
            Ok(Arc::new(transport.map_err(failed)?))
        }
        // The lane of TCP, whatever runs over it; the race knows no other binding.
        TransportKind::Tcp | TransportKind::WebSocket | TransportKind::Single => {
            let upgrading = over_tcp(opening, settings);
            let upgraded = tokio::time::timeout(CONNECT_TIMEOUT, upgrading).await;
            Ok(Arc::new(upgraded.map_err(|_| late())??))
        }
    }
}

/// The mux itself, or a WebSocket where something on the path answers in the edge's place and lets nothing else through.
async fn over_tcp(opening: &Opening, settings: &Settings) -> Result<MuxTransport, Ended> {
    let location = &opening.location;
    if opening.choice == TransportChoice::WebSocket {
        return websocket(location, settings).await.map_err(ended);
    }
    match upgrade(location, settings).await {
        Err(Failed::Upgrade(error))
            if opening.choice == TransportChoice::Auto && is_foreign(&error) =>
        {
            tracing::debug!(%error, "the upgrade does not get through: trying a WebSocket");
            websocket(location, settings).await.map_err(ended)
        }
        upgraded => upgraded.map_err(ended),
    }
}

/// Why there is no session over TCP.
enum Failed {
    Dial(io::Error),
    Upgrade(UpgradeError),
}

async fn upgrade(location: &Location, settings: &Settings) -> Result<MuxTransport, Failed> {
    let (tls, peer) = tls(location, settings).await.map_err(Failed::Dial)?;
    let upgraded = tunnel::upgrade::connect(tls, &location.authority(), peer).await;
    upgraded.map_err(Failed::Upgrade)
}

async fn websocket(location: &Location, settings: &Settings) -> Result<MuxTransport, Failed> {
    let (tls, peer) = tls(location, settings).await.map_err(Failed::Dial)?;
    let upgraded = tunnel::websocket::connect(tls, &location.authority(), peer).await;
    upgraded.map_err(Failed::Upgrade)
}

async fn tls(
    location: &Location,
    settings: &Settings,
) -> io::Result<(tunnel::tls::TlsStream<TcpStream>, SocketAddr)> {
    let (host, port) = (location.host(), location.port());
    let (config, congestion) = (&settings.tls_tcp, settings.congestion);
    let tls = dial::edge(host, port, config, congestion, CONNECT_TIMEOUT).await?;
    let peer = tls.get_ref().peer_addr()?;
    Ok((tls, peer))
}

/// Not an edge's own refusal, which says a code.
const fn is_foreign(error: &UpgradeError) -> bool {
    match error {
        UpgradeError::Refused { error, .. } => error.is_none(),
        UpgradeError::Protocol | UpgradeError::Http(_) | UpgradeError::WebSocket(_) => true,
        UpgradeError::Name(_) => false,
    }
}

fn ended(why: Failed) -> Ended {
    match why {
        Failed::Dial(error) => failed(error),
        Failed::Upgrade(UpgradeError::Refused {
            error: Some(error), ..
        }) => Ended::Refused(error),
        Failed::Upgrade(error) => lost(error),
    }
}

fn failed(error: io::Error) -> Ended {
    if error.kind() == io::ErrorKind::TimedOut {
        return late();
    }
    lost(error)
}

fn late() -> Ended {
    bounds::hit(Bound::Dial);
    lost(format_args!(
        "no connection within {} s",
        CONNECT_TIMEOUT.as_secs()
    ))
}

fn lost(why: impl fmt::Display) -> Ended {
    Ended::Lost(why.to_string())
}

async fn sleep_until(timer: Option<Instant>) {
    match timer {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Now, on the wall.
pub(crate) fn wall_clock() -> UnixTime {
    std::time::SystemTime::now().into()
}
