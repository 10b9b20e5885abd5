//! The parts that run, and the order in which they stop.

use std::future::Future;

use control_plane::ControlPlane;
use edge::Edge;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::access_log::Writer;
use crate::observe::Admin;

/// The edge goes first: its last words go to the store and the log, which are still there.
#[derive(Debug, Default)]
pub(crate) struct Running {
    stop_edge: CancellationToken,
    edge: TaskTracker,
    stop_rest: CancellationToken,
    rest: TaskTracker,
    access_log: Option<Writer>,
}

impl Running {
    pub(crate) fn edge(&mut self, edge: Edge, access_log: Writer) {
        self.edge.spawn(edge.run(self.stop_edge.clone()));
        self.access_log = Some(access_log);
    }

    /// Probes and metrics answer until the very end.
    pub(crate) fn admin(&self, listeners: Vec<TcpListener>, admin: &Admin) {
        for listener in listeners {
            let serving = admin.clone().serve(listener, self.stop_rest.clone());
            self.rest.spawn(serving);
        }
    }

    pub(crate) fn control_plane(&self, control: ControlPlane) {
        self.rest.spawn(control.run(self.stop_rest.clone()));
    }

    /// Runs until everything stops.
    pub(crate) fn beside(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop_rest.clone();
        self.rest.spawn(stop.run_until_cancelled_owned(task));
    }

    pub(crate) async fn stop(self) {
        self.stop_edge.cancel();
        self.edge.close();
        self.edge.wait().await;
        self.stop_rest.cancel();
        self.rest.close();
        self.rest.wait().await;
        if let Some(writer) = self.access_log {
            writer.finish();
        }
    }
}
