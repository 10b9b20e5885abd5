//! One connection to one member: made only when the member knows us, has a leader, and is of a version we work with.

use std::time::Duration;

use etcd_client::{Client, ConnectOptions, GetOptions, StatusResponse};
use tokio::{sync::Mutex, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    counters::Tally,
    failure::{Begun, Failure},
    namespace,
    version::{Progress, Version},
};
use crate::EtcdConfig;

/// For a connection, and for each question that is asked before it is used. A member that needs longer serves nobody well.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// A silent connection with open streams is asked whether it still is one. Members refuse to be asked more often than every five
/// seconds, and to be asked at all when nothing is open.
const PING_EVERY: Duration = Duration::from_secs(6);
const PING_WITHIN: Duration = Duration::from_secs(4);

pub(super) struct Link {
    pub(super) endpoint: String,
    pub(super) progress: Progress,
    client: Client,
    has_user: bool,
    /// One renewal at a time; the number tells those who waited that it was done.
    renewals: Mutex<u64>,
    /// Cancelled when the member was given up, so that everything over this link goes elsewhere at once.
    pub(super) broken: CancellationToken,
}

impl Link {
    pub(super) async fn connect(config: &EtcdConfig, endpoint: &str) -> Result<Self, Failure> {
        let refused = |error: crate::StoreError| Failure::Refused(error.to_string());
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_WITHIN)
            .with_keep_alive(PING_EVERY, PING_WITHIN)
            .with_keep_alive_while_idle(false)
            .with_require_leader(true);
        if let Some(tls) = config.tls().map_err(refused)? {
            options = options.with_tls(tls);
        }
        if let Some(user) = &config.user {
            options = options.with_user(user.name.as_str(), user.password.as_str());
        }
        let mut client = within(CONNECT_WITHIN, Client::connect([endpoint], Some(options))).await?;
        let progress = match within(CONNECT_WITHIN, client.status()).await {
            Ok(status) => progress_of(endpoint, &status)?,
            // Since 3.6 only root may ask for the version, so it is one that needs no asking. What we may do is asked instead.
            Err(Failure::Refused(_)) => {
                let key = namespace::readable_by_all(&config.prefix);
                let count = GetOptions::new().with_count_only();
                within(CONNECT_WITHIN, client.get(key, Some(count))).await?;
                Progress::InOrder
            }
            Err(failure) => return Err(failure),
        };
        Ok(Self {
            endpoint: endpoint.into(),
            progress,
            client,
            has_user: config.user.is_some(),
            renewals: Mutex::default(),
            broken: CancellationToken::new(),
        })
    }

    /// Clones share the connection and the token.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(super) async fn renewals(&self) -> u64 {
        *self.renewals.lock().await
    }

    /// A new token instead of the one that was in use when `seen` renewals had been made; false when there is no user to be.
    pub(super) async fn renew(&self, seen: u64, tally: &Tally) -> Result<bool, Failure> {
        if !self.has_user {
            return Ok(false);
        }
        let mut renewals = self.renewals.lock().await;
        if *renewals == seen {
            within(CONNECT_WITHIN, self.client.refresh_token()).await?;
            *renewals += 1;
            tally.auth_renewals.up();
        }
        Ok(true)
    }
}

/// What the member can do for a watch, if it can be used at all.
fn progress_of(endpoint: &str, status: &StatusResponse) -> Result<Progress, Failure> {
    let version: Version = status.version().parse().map_err(Failure::Refused)?;
    if let Some(refusal) = version.refusal() {
        return Err(Failure::Refused(refusal));
    }
    if status.leader() == 0 {
        return Err(Failure::away("the member has no leader", Begun::No));
    }
    if version.progress() != Progress::InOrder {
        tracing::warn!(%endpoint, %version, "this etcd tells of progress only by itself; give it --experimental-watch-progress-notify-interval=1s, or better a newer version (docs/operations.md)");
    }
    Ok(version.progress())
}

pub(super) async fn within<T>(
    time: Duration,
    call: impl Future<Output = Result<T, etcd_client::Error>>,
) -> Result<T, Failure> {
    match timeout(time, call).await {
        Ok(answer) => answer.map_err(Failure::from),
        Err(_) => Err(Failure::away(
            format!("no answer within {time:?}"),
            Begun::Perhaps,
        )),
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link to {}", self.endpoint)
    }
}
