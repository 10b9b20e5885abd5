//! One tunnel of a file: what it should be, what is bound for it, and when it is tried again.

use std::time::Duration;

use agent::Connected;
use tokio::time::Instant;
use tunnel::message::Bind;

use super::{connection::Ready, retry};
use crate::{
    failure::{Exit, Failure},
    output,
    share::{self, Claimed, TunnelOptions},
};

#[derive(Debug)]
pub(super) struct Managed {
    pub(super) options: TunnelOptions,
    /// Counts the tries; what an older one brings is thrown away.
    pub(super) turn: u64,
    failures: u32,
    pub(super) retry_at: Option<Instant>,
    /// Why nothing but another file or credential can help.
    pub(super) hopeless: Option<Failure>,
    pub(super) serving: Option<Serving>,
    /// Another name, which serves until `serving` is up.
    pub(super) before: Option<Serving>,
}

/// What is bound, or about to be.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) bind: Bind,
    pub(super) claimed: Claimed,
    label: String,
    pub(super) up: bool,
}

/// What a tunnel that was prepared anew means for what is bound.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The endpoint and how it is spoken to are the same: only the origin changes.
    Origin,
    /// The bind is another one of the same name, and takes its place.
    Replace,
    /// The name is another one: it comes before the old one goes.
    Beside,
}

impl Managed {
    pub(super) const fn new(options: TunnelOptions) -> Self {
        Self {
            options,
            turn: 0,
            failures: 0,
            retry_at: None,
            hopeless: None,
            serving: None,
            before: None,
        }
    }

    /// Begins a try; its number is returned.
    pub(super) fn begin(&mut self) -> u64 {
        self.turn += 1;
        self.retry_at = None;
        self.turn
    }

    pub(super) fn change(&mut self, options: TunnelOptions) {
        self.options = options;
        self.failures = 0;
        self.hopeless = None;
    }

    /// Notes a failure, and when the tunnel is tried again.
    pub(super) fn failed(&mut self, failure: Failure, dice: f64) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        let wait = retry::wait(failure.exit(), self.failures, dice);
        self.retry_at = wait.map(|wait| Instant::now() + wait);
        self.hopeless = retry::is_hopeless(failure.exit()).then_some(failure);
        wait
    }

    /// `serving` is up.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.hopeless = None;
        self.before = None;
    }

    pub(super) fn step(&self, ready: &Ready) -> Step {
        let Some(serving) = &self.serving else {
            return Step::Replace;
        };
        if share::bind(serving.bind.id, &ready.claimed, &ready.prepared) == serving.bind {
            Step::Origin
        } else if serving.claimed.name == ready.claimed.name {
            Step::Replace
        } else {
            Step::Beside
        }
    }

    /// Takes over what was prepared, under `bind`.
    pub(super) fn serve(&mut self, step: &Step, bind: Bind, ready: Ready) {
        let up = *step == Step::Origin && self.serving.as_ref().is_some_and(|old| old.up);
        let old = self.serving.replace(Serving {
            bind,
            claimed: ready.claimed,
            label: ready.prepared.label,
            up,
        });
        if *step == Step::Beside && old.as_ref().is_some_and(|old| old.up) {
            self.before = old;
        }
    }

    /// What is to be bound for this tunnel.
    pub(super) fn bound(&self) -> impl Iterator<Item = &Serving> {
        self.serving.iter().chain(&self.before)
    }

    pub(super) fn serves(&self, bind: u32) -> bool {
        self.serving.as_ref().is_some_and(|s| s.bind.id == bind)
    }

    /// What people and programs are told when the tunnel is up.
    pub(super) fn ready(&self, connected: &Connected, url: Option<&str>) -> Option<output::Ready> {
        let serving = self.serving.as_ref()?;
        let claimed = &serving.claimed;
        let urls = claimed
            .clear_url()
            .into_iter()
            .chain(url.map(ToOwned::to_owned));
        Some(output::Ready {
            kind: claimed.kind.as_str().to_owned(),
            name: claimed.name.to_string(),
            urls: urls.collect(),
            target: serving.label.clone(),
            edge: connected.edge.clone(),
            session: connected.session.to_string(),
            transport: connected.transport.as_str().to_owned(),
            rtt_ms: connected.rtt.map(share::to_ms),
            why: connected.why.as_str().to_owned(),
        })
    }
}

/// The exit that a refusal of one bind would be.
pub(super) const fn exit_of(code: tunnel::Code) -> Exit {
    use tunnel::Code;
    match code {
        Code::Conflict => Exit::InUse,
        Code::Forbidden | Code::Revoked => Exit::Refused,
        _ => Exit::Failed,
    }
}
