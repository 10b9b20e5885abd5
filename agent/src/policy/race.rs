//! Which binding carries a session: QUIC has a head start, TCP follows, the first welcome wins.
//!
//! The two race to a finished handshake, and only one of them at a time says hello: an edge that saw two hellos for an
//! exclusive endpoint would refuse or replace one of them, perhaps the one about to win. The other, once connected,
//! waits; it says hello when the first one fails, or has had no answer for [`PATIENCE`] (a path that lets handshakes
//! through and drops what follows).

use std::time::Duration;

use tokio::time::Instant;
use tunnel::TransportKind::{self, Quic, Tcp};

use crate::TransportChoice;

/// How long QUIC runs alone: longer than a round trip on most paths, short enough not to be felt.
const HEAD_START: Duration = Duration::from_millis(250);
/// How long a hello may go unanswered before the other binding, if connected, says hello too.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long QUIC may still try when TCP has failed. Nobody refuses UDP, so a dead edge would otherwise cost the whole
/// timeout of a handshake, and an edge that restarts would be found again that much later.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// What happened to one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Connected(TransportKind),
    Welcomed(TransportKind),
    /// It could not be dialled, or was lost before welcome. What the edge refuses is no matter of the race.
    Failed(TransportKind),
}

/// What the caller is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Connect(TransportKind),
    SayHello(TransportKind),
    Drop(TransportKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Running,
    Won(TransportKind),
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Waiting,
    Off,
    Connecting,
    Connected,
    Greeting(Instant),
    Welcomed,
    Failed,
}

#[derive(Debug)]
pub(crate) struct Race {
    quic: Lane,
    tcp: Lane,
    /// When TCP starts, while it waits.
    tcp_at: Instant,
    /// When QUIC gives up, once TCP has failed.
    quic_until: Option<Instant>,
}

impl Race {
    /// `udp_failed` says that UDP to this edge failed a short while ago, so that QUIC gets no head start.
    pub(crate) fn start(
        choice: TransportChoice,
        udp_failed: bool,
        now: Instant,
    ) -> (Self, Vec<Action>) {
        let (quic, tcp) = match choice {
            TransportChoice::Quic => (Lane::Waiting, Lane::Off),
            // A WebSocket runs in TCP's lane.
            TransportChoice::Tcp | TransportChoice::WebSocket => (Lane::Off, Lane::Waiting),
            TransportChoice::Auto => (Lane::Waiting, Lane::Waiting),
        };
        let mut race = Self {
            quic,
            tcp,
            tcp_at: now + HEAD_START,
            quic_until: None,
        };
        let mut actions = Vec::new();
        race.connect(Quic, &mut actions);
        if udp_failed || race.quic == Lane::Off {
            race.connect(Tcp, &mut actions);
        }
        (race, actions)
    }

    pub(crate) fn input(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Connected(kind) => {
                *self.lane(kind) = Lane::Connected;
                self.greet(kind, now, &mut actions);
            }
            Input::Welcomed(kind) => {
                *self.lane(kind) = Lane::Welcomed;
                self.drop_if_running(other(kind), &mut actions);
            }
            Input::Failed(kind) => {
                *self.lane(kind) = Lane::Failed;
                if kind == Tcp {
                    self.quic_until = Some(now + LAST_CHANCE);
                }
                self.connect(Tcp, &mut actions);
                self.greet(other(kind), now, &mut actions);
            }
        }
        actions
    }

    /// To be called when [`Race::timer`] has come.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if now >= self.tcp_at {
            self.connect(Tcp, &mut actions);
        }
        if self.quic == Lane::Connecting && self.quic_until.is_some_and(|until| now >= until) {
            self.quic = Lane::Failed;
            actions.push(Action::Drop(Quic));
        }
        self.greet(Quic, now, &mut actions);
        self.greet(Tcp, now, &mut actions);
        actions
    }

    pub(crate) fn timer(&self) -> Option<Instant> {
        let start = (self.tcp == Lane::Waiting).then_some(self.tcp_at);
        let patience = [(self.quic, self.tcp), (self.tcp, self.quic)]
            .into_iter()
            .find_map(|pair| match pair {
                (Lane::Connected, Lane::Greeting(since)) => Some(since + PATIENCE),
                _ => None,
            });
        let last_chance = self.quic_until.filter(|_| self.quic == Lane::Connecting);
        [start, patience, last_chance].into_iter().flatten().min()
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let over = |lane| matches!(lane, Lane::Off | Lane::Failed);
        match (self.quic, self.tcp) {
            (Lane::Welcomed, _) => Outcome::Won(Quic),
            (_, Lane::Welcomed) => Outcome::Won(Tcp),
            (quic, tcp) if over(quic) && over(tcp) => Outcome::Lost,
            _ => Outcome::Running,
        }
    }

    /// True when QUIC was tried and did not so much as connect: it failed, or TCP got all the way in the meantime.
    pub(crate) fn udp_seems_blocked(&self) -> bool {
        match self.quic {
            Lane::Failed => true,
            Lane::Connecting => self.tcp == Lane::Welcomed,
            _ => false,
        }
    }

    fn lane(&mut self, kind: TransportKind) -> &mut Lane {
        match kind {
            Quic => &mut self.quic,
            _ => &mut self.tcp,
        }
    }

    fn connect(&mut self, kind: TransportKind, actions: &mut Vec<Action>) {
        if *self.lane(kind) == Lane::Waiting {
            *self.lane(kind) = Lane::Connecting;
            actions.push(Action::Connect(kind));
        }
    }

    fn greet(&mut self, kind: TransportKind, now: Instant, actions: &mut Vec<Action>) {
        let free = match *self.lane(other(kind)) {
            Lane::Greeting(since) => now >= since + PATIENCE,
            Lane::Welcomed => false,
            _ => true,
        };
        if free && *self.lane(kind) == Lane::Connected {
            *self.lane(kind) = Lane::Greeting(now);
            actions.push(Action::SayHello(kind));
        }
    }

    fn drop_if_running(&mut self, kind: TransportKind, actions: &mut Vec<Action>) {
        match *self.lane(kind) {
            Lane::Connecting | Lane::Connected | Lane::Greeting(_) => {
                actions.push(Action::Drop(kind));
            }
            Lane::Waiting => *self.lane(kind) = Lane::Off,
            Lane::Off | Lane::Welcomed | Lane::Failed => {}
        }
    }
}

const fn other(kind: TransportKind) -> TransportKind {
    match kind {
        Quic => Tcp,
        _ => Quic,
    }
}

#[cfg(test)]
#[path = "race/tests.rs"]
mod tests;
