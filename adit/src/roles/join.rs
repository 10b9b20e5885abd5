//! Asks a control plane what this edge serves for, as often as it takes.

use std::{path::Path, time::Duration};

use config::{EdgeSettings, Join};
use edge::Joined;
use proto::v1;
use tokio::{sync::watch, time::sleep};
use zeroize::Zeroizing;

use crate::{
    credentials,
    failure::{Exit, Failure, OrFail},
    share::Provider,
    usage::RemoteUsage,
};

/// Holds a role key where there is no file.
const VARIABLE: &str = "ADIT_ROLE_KEY";
/// Pauses between tries double from one to the other, each shortened by chance, so that many edges do not come at once.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Between two looks whether the answer has changed.
const AGAIN: Duration = Duration::from_secs(300);

/// Who asks, and whom.
#[derive(Debug)]
pub(super) struct Joining {
    provider: Provider,
    request: v1::JoinRequest,
}

impl Joining {
    pub(super) fn prepare(join: &Join, edge: &EdgeSettings) -> Result<Self, Failure> {
        let ca = join
            .ca
            .as_deref()
            .map(credentials::read_bounded)
            .transpose()?;
        let key = role_key(join.role_key_file.as_deref())?;
        let server = join.control_plane.to_string();
        Ok(Self {
            provider: Provider::connect(&server, ca.as_deref(), Some(key.trim()))?,
            request: v1::JoinRequest {
                id: edge.id.to_string(),
                region: edge.region.to_string(),
                url: edge.url.to_string(),
                names: edge.names.iter().map(ToString::to_string).collect(),
            },
        })
    }

    /// Tells the same control plane what the edge carries.
    pub(super) fn usage(&self) -> RemoteUsage {
        RemoteUsage::new(self.provider.clone())
    }

    /// Until there is an answer.
    pub(super) async fn first(&self) -> Joined {
        let (mut pause, longest) = RETRY;
        loop {
            match self.ask().await {
                Ok(joined) => return joined,
                Err(error) => {
                    tracing::warn!(%error, waiting = ?pause, "the edge has not joined its provider yet");
                }
            }
            sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Goes on asking; another answer than the one that the edge runs with is kept for its next start.
    pub(super) async fn go_on(self, answer: watch::Sender<Joined>) {
        loop {
            let joined = self.first().await;
            let changed = answer.send_if_modified(|now| {
                let changed = *now != joined;
                now.clone_from(&joined);
                changed
            });
            if changed {
                tracing::warn!(
                    "the provider has changed what edges serve for: restart this edge to take it on"
                );
            }
            sleep(AGAIN).await;
        }
    }

    async fn ask(&self) -> Result<Joined, Failure> {
        let answer = self.provider.join(self.request.clone()).await?;
        joined(answer).or_fail(Exit::Failed, "the provider's answer is not valid")
    }
}

fn joined(answer: v1::JoinResponse) -> Result<Joined, String> {
    let port = |port: u32| u16::try_from(port).map_err(|error| error.to_string());
    let names = answer.reserved.iter().map(|name| name.parse());
    let names: Result<_, model::HostnameError> = names.collect();
    Ok(Joined {
        issuer: answer.issuer,
        audience: answer.audience,
        zone: answer
            .zone
            .parse()
            .map_err(|error: model::HostnameError| error.to_string())?,
        reserved: names.map_err(|error| error.to_string())?,
        forward: answer.forward,
        first_tcp_port: port(answer.first_tcp_port)?,
        last_tcp_port: port(answer.last_tcp_port)?,
    })
}

fn role_key(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = file {
        return credentials::read_bounded(path).map(Zeroizing::new);
    }
    std::env::var(VARIABLE).map(Zeroizing::new).map_err(|_| {
        Failure::new(Exit::Usage, "an edge needs a role key to join its provider")
            .advise("adit admin api-key create --role edge, and its output into edge.role_key_file")
            .advise(format!("or into {VARIABLE}"))
    })
}
