//! Which ports of `tcp` endpoints are listened on: an agent is told that its port is bound when visitors can come. An address
//! that cannot be had, as of IPv6 where there is none, is not waited for: it was tried.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{sync::watch, time::timeout};

use crate::bounds::PORT_WAIT;

#[derive(Debug)]
pub(crate) struct OpenPorts {
    /// Addresses on which each port is opened.
    hosts: usize,
    /// On how many of them each was tried.
    tried: watch::Sender<BTreeMap<u16, usize>>,
}

impl OpenPorts {
    pub(crate) fn new(hosts: usize) -> Self {
        Self {
            hosts,
            tried: watch::Sender::default(),
        }
    }

    /// One address of the port was tried; it counts until what is returned is dropped.
    pub(super) fn tried(this: &Arc<Self>, port: u16) -> Tried {
        this.tried
            .send_modify(|tried| *tried.entry(port).or_default() += 1);
        Tried {
            ports: this.clone(),
            port,
        }
    }

    fn closed(&self, port: u16) {
        self.tried.send_modify(|open| {
            let left = open.get(&port).map_or(0, |hosts| hosts.saturating_sub(1));
            if left == 0 {
                open.remove(&port);
            } else {
                open.insert(port, left);
            }
        });
    }

    /// Waits for the ports, but not long: whatever keeps one may keep it for hours. False when one is not open.
    pub(crate) async fn wait(&self, ports: &[u16]) -> bool {
        let mut open = self.tried.subscribe();
        let all = open.wait_for(|open| {
            let is_open = |port| open.get(port).is_some_and(|hosts| *hosts >= self.hosts);
            self.hosts == 0 || ports.iter().all(is_open)
        });
        timeout(PORT_WAIT, all).await.is_ok()
    }
}

pub(super) struct Tried {
    ports: Arc<OpenPorts>,
    port: u16,
}

impl Drop for Tried {
    fn drop(&mut self) {
        self.ports.closed(self.port);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_port_is_open_when_every_address_was_tried() {
        let ports = Arc::new(OpenPorts::new(2));
        assert!(ports.wait(&[]).await);
        let _one = OpenPorts::tried(&ports, 1);
        assert!(ports.wait(&[1]).now_or_never().is_none());
        let (waited, two) = tokio::join!(ports.wait(&[1]), async { OpenPorts::tried(&ports, 1) });
        assert!(waited);
        drop(two);
        assert!(!ports.wait(&[1]).await, "the wait has an end");
    }
}
