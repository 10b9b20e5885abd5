//! The tunnels of a file, as they are, brought to what the file says. One session carries them all.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use agent::{Connected, Event as AgentEvent, Origins, TunnelError};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tunnel::limits::BINDS;

use super::{
    connection::{self, Connection, Ready},
    difference::Difference,
    file::{RunFile, TunnelName},
    live::{self, Live, Step as LiveStep},
    tunnel::{Managed, Step, exit_of},
    watch::Reading,
};
use crate::{
    cli::ProviderArgs,
    failure::{Exit, Failure},
    observe::Tunnels,
    output::{Event, TunnelsOutput},
    share,
};

/// How often byte counts and round trip are drawn anew.
const TICK: Duration = Duration::from_millis(500);

pub(super) struct Fleet<'a> {
    path: PathBuf,
    flags: ProviderArgs,
    output: &'a mut TunnelsOutput,
    /// For /ready and /metrics.
    shown: Tunnels,
    file: RunFile,
    connection: Arc<Connection>,
    origins: Arc<Origins>,
    live: Option<Live>,
    tunnels: BTreeMap<TunnelName, Managed>,
    preparing: JoinSet<Outcome>,
    /// Sessions that finish their streams.
    leaving: JoinSet<()>,
    last_bind: u32,
    ever_up: bool,
}

/// What a try of a tunnel came to.
struct Outcome {
    name: TunnelName,
    turn: u64,
    result: Result<Ready, Failure>,
}

impl<'a> Fleet<'a> {
    pub(super) fn new(
        path: PathBuf,
        flags: ProviderArgs,
        file: RunFile,
        connection: Connection,
        output: &'a mut TunnelsOutput,
        shown: Tunnels,
    ) -> Self {
        let mut fleet = Self {
            path,
            flags,
            output,
            shown,
            file,
            connection: Arc::new(connection),
            origins: Arc::default(),
            live: None,
            tunnels: BTreeMap::new(),
            preparing: JoinSet::new(),
            leaving: JoinSet::new(),
            last_bind: 0,
            ever_up: false,
        };
        let difference = Difference::between(&BTreeMap::new(), &fleet.file.tunnels);
        fleet.follow(&difference);
        fleet
    }

    /// Until `stop`, or until nothing can work any more.
    pub(super) async fn run(
        mut self,
        mut readings: watch::Receiver<Reading>,
        stop: CancellationToken,
    ) -> Result<(), Failure> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let retry_at = self.tunnels.values().filter_map(|t| t.retry_at).min();
            tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = readings.changed() => self.reload(&mut readings).await,
                Some(Ok(outcome)) = self.preparing.join_next() => self.prepared(outcome)?,
                step = live::next(&mut self.live) => self.step(step)?,
                () = self.connection.doubted() => self.prepare_all(),
                () = until(retry_at) => self.retry(),
                Some(_) = self.leaving.join_next() => {}
                _ = ticks.tick() => if let Some(live) = &self.live {
                    self.output.tick(share::numbers(&live.tunnel));
                },
            }
        }
        self.leave();
        while self.leaving.join_next().await.is_some() {}
        let reason = "you asked for it".into();
        self.output.show(None, &Event::Stopped { reason });
        Ok(())
    }

    /// A file that cannot be read, or whose provider cannot be had, changes nothing.
    async fn reload(&mut self, readings: &mut watch::Receiver<Reading>) {
        let read = match &*readings.borrow_and_update() {
            Ok(text) => RunFile::parse(&self.path, text),
            Err(failure) => Err(failure.again()),
        };
        let adopted = match read {
            Ok(file) => self.adopt(file).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = adopted {
            let error = Some(failure.to_string());
            self.output.show(None, &config(&self.path, None, error));
        }
    }

    async fn adopt(&mut self, file: RunFile) -> Result<(), Failure> {
        let difference = Difference::between(&self.file.tunnels, &file.tunnels);
        if file.provider != self.file.provider {
            let connection = Connection::open(&file.provider, &self.flags).await?;
            self.connection = Arc::new(connection);
            self.leave();
            self.origins = Arc::default();
            for tunnel in self.tunnels.values_mut() {
                (tunnel.serving, tunnel.before) = (None, None);
            }
            self.file = file;
            self.follow(&difference);
            self.prepare_all();
        } else {
            self.file = file;
            self.follow(&difference);
        }
        Ok(())
    }

    /// Takes the steps from the old file to the new one. What is in none of the lists is not touched.
    fn follow(&mut self, difference: &Difference<TunnelName>) {
        let event = config(&self.path, Some(difference), None);
        self.output.show(None, &event);
        for name in &difference.removed {
            self.tunnels.remove(name);
            let reason = "it is not in the file any more".into();
            let stopped = Event::Stopped { reason };
            self.output.show(Some(name.as_str()), &stopped);
        }
        for name in difference.added.iter().chain(&difference.changed) {
            let Some(options) = self.file.tunnels.get(name).cloned() else {
                continue;
            };
            match self.tunnels.get_mut(name) {
                Some(tunnel) => tunnel.change(options),
                None => drop(self.tunnels.insert(name.clone(), Managed::new(options))),
            }
            self.prepare(name);
        }
        if !difference.removed.is_empty() {
            self.apply();
        }
    }

    fn prepare(&mut self, name: &TunnelName) {
        let Some(tunnel) = self.tunnels.get_mut(name) else {
            return;
        };
        let turn = tunnel.begin();
        let (name, options) = (name.clone(), tunnel.options.clone());
        let connection = Arc::clone(&self.connection);
        self.preparing.spawn(async move {
            let result = connection.prepare(name.as_str(), &options).await;
            Outcome { name, turn, result }
        });
    }

    fn prepare_all(&mut self) {
        let names: Vec<_> = self.tunnels.keys().cloned().collect();
        names.iter().for_each(|name| self.prepare(name));
    }

    fn retry(&mut self) {
        let now = Instant::now();
        let due = |tunnel: &Managed| tunnel.retry_at.is_some_and(|at| at <= now);
        let names: Vec<_> = self
            .tunnels
            .iter()
            .filter(|(_, tunnel)| due(tunnel))
            .map(|(name, _)| name.clone())
            .collect();
        names.iter().for_each(|name| self.prepare(name));
    }

    /// Those that are ready at the same time are bound together.
    fn prepared(&mut self, first: Outcome) -> Result<(), Failure> {
        let mut next = Some(first);
        while let Some(Outcome { name, turn, result }) = next {
            if self.tunnels.get(&name).is_some_and(|t| t.turn == turn) {
                match result.and_then(|ready| self.serve(&name, ready)) {
                    Ok(()) => {}
                    Err(failure) => self.fail(&name, failure),
                }
            }
            next = self.preparing.try_join_next().and_then(Result::ok);
        }
        self.apply();
        self.is_hopeless().map_or(Ok(()), Err)
    }

    fn serve(&mut self, name: &TunnelName, ready: Ready) -> Result<(), Failure> {
        let Some(tunnel) = self.tunnels.get_mut(name) else {
            return Ok(());
        };
        let step = tunnel.step(&ready);
        let id = match (&step, &tunnel.serving) {
            (Step::Origin, Some(serving)) => serving.bind.id,
            _ => {
                self.last_bind += 1;
                self.last_bind
            }
        };
        connection::set_origin(&self.origins, id, &ready.prepared)?;
        let bind = share::bind(id, &ready.claimed, &ready.prepared);
        tunnel.serve(&step, bind, ready);
        if step == Step::Origin
            && let Some(connected) = self.live.as_ref().and_then(|live| live.connected.clone())
        {
            self.announce(name, &connected);
        }
        Ok(())
    }

    /// Brings the session to what the tunnels need, or begins or ends one.
    fn apply(&mut self) {
        let serving = self.tunnels.values().flat_map(|t| &t.serving);
        let before = self.tunnels.values().flat_map(|t| &t.before);
        // A session has room for so many; then an old name goes before its new one comes.
        let all: Vec<_> = serving.chain(before).take(BINDS as usize).collect();
        let claims: BTreeSet<_> = all.iter().filter_map(|s| s.claimed.claim.clone()).collect();
        let claims: Vec<_> = claims.into_iter().collect();
        let binds: Vec<_> = all.iter().map(|serving| serving.bind.clone()).collect();
        if binds.is_empty() {
            return self.leave();
        }
        self.connection.set_claims(&claims);
        if let Some(live) = &self.live {
            live.tunnel.want(binds);
            return;
        }
        match self.connection.agent(&self.path) {
            Ok(agent) => {
                let live = Live::begin(&agent, binds, &self.origins);
                self.shown.add(live.tunnel.status());
                self.live = Some(live);
            }
            Err(failure) => self.fail_all(&failure),
        }
    }

    fn leave(&mut self) {
        if let Some(live) = self.live.take() {
            self.leaving.spawn(live.leave());
        }
    }

    fn step(&mut self, step: LiveStep) -> Result<(), Failure> {
        match step {
            LiveStep::Event(event) => self.event(event),
            // Missed events were visits, most likely; whatever they were, this is how it stands.
            LiveStep::Missed(Some(connected)) => self.at(connected, false),
            LiveStep::Missed(None) => {}
            LiveStep::Ended(error) => return self.lost(&error),
        }
        Ok(())
    }

    fn event(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Connecting {
                location,
                transport,
            } => {
                let (edge, transport) = (location.to_string(), transport.as_str().to_owned());
                self.output
                    .show(None, &Event::Connecting { edge, transport });
            }
            AgentEvent::Connected(connected) | AgentEvent::Migrated(connected) => {
                self.at(connected, true);
            }
            AgentEvent::Bound(bound) => {
                if let Some(connected) = self.live.as_ref().and_then(|live| live.connected.clone())
                {
                    self.up(bound.id, &connected, bound.url.as_deref(), false);
                    self.apply();
                }
            }
            AgentEvent::Unbound { .. } => self.forget_origins(),
            AgentEvent::BindLost { id, code, reason } => self.bind_lost(id, code, reason),
            AgentEvent::Disconnected {
                reason,
                code,
                retry_in,
            } => {
                self.down();
                let event = Event::Disconnected {
                    reason,
                    code: code.map(|code| code as u8),
                    retry_ms: share::millis(retry_in),
                };
                self.output.show(None, &event);
            }
            AgentEvent::Visit(visit) => {
                if let Some(name) = self.name_of(visit.id) {
                    let visit = Event::Visit(share::from_edge(visit));
                    self.output.show(Some(name.as_str()), &visit);
                }
            }
            AgentEvent::Hint { bind, hint } => {
                if let Some(name) = self.name_of(bind) {
                    let message = hint.to_string();
                    self.output
                        .show(Some(name.as_str()), &Event::Hint { message });
                }
            }
            AgentEvent::Refreshed(_) | AgentEvent::Ended(_) => {}
        }
    }

    /// A session serves these; `new` when it has just begun to.
    fn at(&mut self, connected: Arc<Connected>, new: bool) {
        if let Some(live) = &mut self.live {
            live.connected = Some(Arc::clone(&connected));
        }
        for bound in &connected.bound {
            self.up(bound.id, &connected, bound.url.as_deref(), new);
        }
        self.apply();
    }

    /// The edge serves the bind; that is told once for each session.
    fn up(&mut self, bind: u32, connected: &Connected, url: Option<&str>, again: bool) {
        let Some(name) = self.name_of(bind) else {
            return;
        };
        let Some(tunnel) = self.tunnels.get_mut(&name) else {
            return;
        };
        let was_up = tunnel
            .serving
            .as_mut()
            .is_none_or(|s| std::mem::replace(&mut s.up, true));
        tunnel.succeeded();
        self.ever_up = true;
        if (again || !was_up)
            && let Some(ready) = tunnel.ready(connected, url)
        {
            self.output.show(Some(name.as_str()), &Event::Ready(ready));
        }
    }

    /// Tells of a tunnel that serves another origin now.
    fn announce(&mut self, name: &TunnelName, connected: &Connected) {
        let Some(tunnel) = self.tunnels.get(name) else {
            return;
        };
        let Some(serving) = tunnel.serving.as_ref().filter(|serving| serving.up) else {
            return;
        };
        let bound = connected.bound.iter().find(|b| b.id == serving.bind.id);
        let url = bound.and_then(|bound| bound.url.as_deref());
        if let Some(ready) = tunnel.ready(connected, url) {
            self.output.show(Some(name.as_str()), &Event::Ready(ready));
        }
    }

    fn bind_lost(&mut self, bind: u32, code: tunnel::Code, reason: String) {
        if let Some(name) = self.name_of(bind) {
            if let Some(tunnel) = self.tunnels.get_mut(&name) {
                tunnel.serving = None;
            }
            self.fail(&name, Failure::new(exit_of(code), reason));
        } else {
            let old = |t: &Managed| t.before.as_ref().is_some_and(|s| s.bind.id == bind);
            if let Some(tunnel) = self.tunnels.values_mut().find(|tunnel| old(tunnel)) {
                tunnel.before = None;
            }
        }
        self.apply();
    }

    fn down(&mut self) {
        for serving in self.tunnels.values_mut().flat_map(|t| &mut t.serving) {
            serving.up = false;
        }
    }

    /// The session is over for good. Its credential was refused, or what it wanted was.
    fn lost(&mut self, error: &TunnelError) -> Result<(), Failure> {
        self.live = None;
        let failure = share::tunnel_failure(error);
        if matches!(failure.exit(), Exit::Credential | Exit::Replaced) {
            return Err(failure);
        }
        self.fail_all(&failure);
        Ok(())
    }

    fn fail_all(&mut self, failure: &Failure) {
        let names: Vec<_> = self.tunnels.keys().cloned().collect();
        for name in names {
            if let Some(tunnel) = self.tunnels.get_mut(&name) {
                (tunnel.serving, tunnel.before) = (None, None);
            }
            self.fail(&name, failure.again());
        }
    }

    fn fail(&mut self, name: &TunnelName, failure: Failure) {
        let Some(tunnel) = self.tunnels.get_mut(name) else {
            return;
        };
        let (exit, reason) = (failure.exit(), failure.to_string());
        let retry_in = tunnel.failed(failure, rand::random());
        let event = Event::Refused {
            name: exit.name().to_owned(),
            reason,
            retry_ms: retry_in.map(share::millis),
        };
        self.output.show(Some(name.as_str()), &event);
    }

    /// Why none of the tunnels can ever work, unless one of them has worked already.
    fn is_hopeless(&mut self) -> Option<Failure> {
        let all = self.tunnels.values().all(|t| t.hopeless.is_some());
        if self.ever_up || !self.preparing.is_empty() || !all {
            return None;
        }
        let first = self.tunnels.values_mut().next()?;
        first.hopeless.take()
    }

    /// Origins of binds that are neither served nor wanted.
    fn forget_origins(&mut self) {
        let all = self.tunnels.values().flat_map(Managed::bound);
        let wanted: BTreeSet<u32> = all.map(|serving| serving.bind.id).collect();
        let served = self.live.as_ref().map(Live::served).unwrap_or_default();
        self.origins
            .retain(|bind| wanted.contains(&bind) || served.contains(&bind));
    }

    fn name_of(&self, bind: u32) -> Option<TunnelName> {
        let found = self.tunnels.iter().find(|(_, tunnel)| tunnel.serves(bind));
        found.map(|(name, _)| name.clone())
    }
}

fn config(
    path: &std::path::Path,
    difference: Option<&Difference<TunnelName>>,
    error: Option<String>,
) -> Event {
    let names = |pick: fn(&Difference<TunnelName>) -> &Vec<TunnelName>| {
        let list = difference.map(pick).into_iter().flatten();
        list.map(ToString::to_string).collect()
    };
    Event::Config {
        file: path.display().to_string(),
        added: names(|d| &d.added),
        changed: names(|d| &d.changed),
        removed: names(|d| &d.removed),
        error,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
