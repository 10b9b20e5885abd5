//! Ctrl-C and SIGTERM as one cancellation: the first asks, a second one insists.

use tokio_util::sync::CancellationToken;

/// The exit code of a process that was told twice to stop (128 + SIGINT).
const INSISTED: i32 = 130;

/// A token that is cancelled by the first signal. A second signal ends the process at once.
pub(crate) fn stop_token() -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        signal().await;
        stop.cancel();
        signal().await;
        #[allow(
            clippy::exit,
            reason = "the user insists, and nothing may hold the process back any longer"
        )]
        std::process::exit(INSISTED);
    });
    token
}

/// Passes on each SIGHUP, for as long as it runs.
#[cfg(unix)]
pub(crate) async fn on_reload(asked: std::sync::Arc<tokio::sync::Notify>) {
    use tokio::signal::unix::{SignalKind, signal};

    use crate::provider::notify::{State, tell};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return;
    };
    while hangup.recv().await.is_some() {
        tell(State::Reloading);
        asked.notify_one();
        tell(State::Ready);
    }
}

#[cfg(not(unix))]
pub(crate) async fn on_reload(_: std::sync::Arc<tokio::sync::Notify>) {
    std::future::pending().await
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
