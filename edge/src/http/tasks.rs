//! Tasks that end with their owner.

use hyper::rt::Executor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Spawns tasks and cuts those that are left when it is dropped. The [`Spawner`]s that it hands out spawn nothing after that.
#[derive(Debug, Default)]
pub(super) struct Tasks(Spawner);

#[derive(Clone, Debug, Default)]
pub(super) struct Spawner {
    tracker: TaskTracker,
    cut: CancellationToken,
}

impl Tasks {
    pub(super) fn spawner(&self) -> Spawner {
        self.0.clone()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.cut.cancel();
    }
}

impl Spawner {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.clone();
        // Boxed, as what is waited for under another future takes its place twice: hyper's HTTP/2 is 36 KB.
        let task = Box::pin(task);
        self.tracker.spawn(async move {
            cut.run_until_cancelled_owned(task).await;
        });
    }
}

impl<F> Executor<F> for Spawner
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.spawn(async move {
            task.await;
        });
    }
}
