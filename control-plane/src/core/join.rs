//! What an edge is told when it joins.

use std::ops::RangeInclusive;

use model::Hostname;

use super::{Caller, Core};
use crate::error::{ControlError, ErrorCode};

/// Everything an edge must know of its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub issuer: String,
    pub audience: String,
    pub zone: Hostname,
    /// Names that are forwarded here.
    pub reserved: Vec<Hostname>,
    pub forward: Vec<String>,
    pub tcp_ports: RangeInclusive<u16>,
}

impl Core {
    /// Refuses an edge whose names an account could claim: at other edges they would then lead to that account.
    pub fn join(&self, caller: &Caller, names: &[Hostname]) -> Result<Joined, ControlError> {
        caller.must_be_edge()?;
        let config = &self.config;
        let claimable = |name: &&Hostname| {
            name.parent().as_ref() == Some(&config.zone) && !config.reserved.contains(name)
        };
        if let Some(name) = names.iter().find(claimable) {
            return Err(ControlError::new(
                ErrorCode::NotAllowed,
                format!(
                    "{name} is a name that accounts may claim: add it to control-plane.reserved of every control plane"
                ),
            ));
        }
        let page = self.page();
        Ok(Joined {
            issuer: self.issuer().to_owned(),
            audience: self.audience(),
            zone: config.zone.clone(),
            reserved: page.into_iter().collect(),
            forward: config.forward.clone(),
            tcp_ports: config.tcp_ports.clone(),
        })
    }

    /// The name in the issuer's URL; none where it is an address.
    fn page(&self) -> Option<Hostname> {
        let (_, rest) = self.issuer().split_once("://")?;
        let host = rest.split([':', '/']).next()?;
        host.parse().ok()
    }
}
