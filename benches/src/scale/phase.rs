//! A part of a run, and what everybody did and held in it.

use std::{collections::BTreeMap, time::Instant};

use serde::{Deserialize, Serialize};

use super::{
    figures::Figures,
    load::Agents,
    provider::{Provider, load},
};
use crate::{
    problem::Outcome,
    proc::{self, Memory, Roles, Window},
};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    /// CPU seconds by role.
    pub(crate) cpu: BTreeMap<String, f64>,
    /// Cores that others took meanwhile.
    pub(crate) others: f64,
    /// At the end of it.
    pub(crate) memory: BTreeMap<String, Memory>,
    /// Counts of etcd within it, and what it held at its end.
    pub(crate) etcd: BTreeMap<String, f64>,
}

/// One that is going on.
pub(super) struct Begun {
    name: &'static str,
    at: Instant,
    window: Window,
    etcd: Option<Figures>,
}

impl Begun {
    pub(super) fn now(
        name: &'static str,
        provider: &Provider,
        agents: Option<&Agents>,
    ) -> Outcome<Self> {
        Ok(Self {
            name,
            window: Window::open(roles(provider, agents))?,
            etcd: provider.etcd()?,
            at: Instant::now(),
        })
    }

    pub(super) fn elapsed(&self) -> f64 {
        self.at.elapsed().as_secs_f64()
    }

    pub(super) fn end(self, provider: &Provider, agents: &Agents) -> Outcome<Phase> {
        let used = self.window.close()?;
        let cpu = used.cpu.into_iter();
        let etcd = self.etcd.zip(provider.etcd()?);
        Ok(Phase {
            name: self.name.into(),
            seconds: used.seconds,
            cpu: cpu.map(|(role, cpu)| (role, cpu.total())).collect(),
            others: used.others,
            memory: memory(provider, Some(agents))?,
            etcd: etcd.map_or_else(BTreeMap::new, |(before, after)| load(&before, &after)),
        })
    }
}

pub(super) fn memory(
    provider: &Provider,
    agents: Option<&Agents>,
) -> Outcome<BTreeMap<String, Memory>> {
    let roles = roles(provider, agents).into_iter();
    roles
        .map(|(role, pids)| Ok((role, proc::memory_of(&pids)?)))
        .collect()
}

fn roles(provider: &Provider, agents: Option<&Agents>) -> Roles {
    let mut roles = provider.roles();
    roles.extend(agents.map(|agents| ("agents".into(), agents.pids())));
    roles
}
