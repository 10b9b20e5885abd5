//! Stopping without anyone noticing, as far as that can be: agents go elsewhere first, visitors finish what they began.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;
use tunnel::{
    Code,
    message::{Drain, EdgeMessage},
};

use crate::{
    bounds::CLOSING,
    listen::Front,
    metrics::{Hit, Metrics},
};

/// Agents are asked to leave at different times of the first quarter, so that other edges do not get all of them at once.
const SPREAD: u32 = 4;
/// Half of the time is for agents to go, the rest for the streams that are left.
const FOR_AGENTS: u32 = 2;

/// Returns when agents and visitors are gone, or `within` is over and they were cut.
pub(super) async fn leave(front: &Front, within: Duration) {
    let deadline = Instant::now() + within;
    front.desk.draining.cancel();
    tracing::info!(?within, "the edge lets go of its agents and visitors");
    ask_agents_to_leave(front, within).await;
    front.stages.leaving.cancel();
    front.stages.visitors.close();
    if timeout_at(deadline, front.stages.visitors.wait())
        .await
        .is_err()
    {
        front.metrics.hit(Hit::DrainTime);
        tracing::warn!(
            left = front.stages.visitors.len(),
            "visitors are cut, as their time is over"
        );
    }
    front
        .desk
        .sessions
        .end_all(Code::Draining, "the edge has stopped");
    wait_a_moment(&front.stages.sessions, &front.metrics).await;
    front.stages.cut.cancel();
    front.stages.visitors.wait().await;
    front.stages.sessions.wait().await;
}

/// Says good-bye to agents over QUIC.
pub(super) async fn close(endpoints: &[quinn::Endpoint]) {
    for endpoint in endpoints {
        endpoint.close(
            u32::from(u8::from(Code::Draining)).into(),
            b"the edge has stopped",
        );
    }
    for endpoint in endpoints {
        // Who does not answer is not waited for.
        let _ = timeout(CLOSING, endpoint.wait_idle()).await;
    }
}

/// Where there is nowhere to go, agents are told and not waited for.
async fn ask_agents_to_leave(front: &Front, within: Duration) {
    let edges = front.desk.other_edges();
    let mut changes = front.desk.sessions.changes();
    front.desk.sessions.tell_all(|| {
        let after = (within / SPREAD).mul_f64(rand::random());
        EdgeMessage::Drain(Drain {
            after,
            deadline: within,
            edges: edges.clone(),
        })
    });
    if edges.is_empty() {
        return;
    }
    let gone =
        async { while front.desk.sessions.any_bound() && changes.changed().await.is_ok() {} };
    // Those that stay learn it when their sessions end.
    let _ = timeout(within / FOR_AGENTS, gone).await;
}

async fn wait_a_moment(tasks: &TaskTracker, metrics: &Metrics) {
    tasks.close();
    if timeout(CLOSING, tasks.wait()).await.is_err() {
        metrics.hit(Hit::ClosingTime);
    }
}
