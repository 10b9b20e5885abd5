//! What an answer of etcd that is no success means: who is to blame, and whether anything can have happened.

use std::error::Error as _;

use tonic::{Code, ConnectError, Status};

use crate::StoreError;

#[derive(Debug)]
pub(super) enum Failure {
    /// The member, or the way to it. Another one may do better.
    Away {
        reason: String,
        begun: Begun,
    },
    /// The token has expired or is older than a change of the users; a new one helps.
    Token(String),
    /// Every member would answer the same, and nothing was done.
    Refused(String),
    /// The quota is used up: nothing was done, and nothing can be put until somebody has made room.
    Full,
    Compacted,
    FutureRevision,
    LeaseNotFound,
    /// What was asked for does not fit into one message.
    TooLarge,
}

/// Whether the request may have been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    No,
    Perhaps,
}

impl Failure {
    pub(super) fn away(reason: impl Into<String>, begun: Begun) -> Self {
        Self::Away {
            reason: reason.into(),
            begun,
        }
    }

    /// For what changes nothing, or may be done twice.
    pub(super) fn harmless(self) -> StoreError {
        match self {
            Self::Away { reason, .. } => StoreError::Unavailable(reason),
            Self::Token(reason) | Self::Refused(reason) => StoreError::Refused(reason),
            Self::Full => StoreError::Unavailable(
                "etcd has used up its quota (alarm NOSPACE); compact, defragment and disarm it as docs/operations.md says"
                    .into(),
            ),
            // Whoever asks for a revision, a lease or a page answers these before.
            Self::Compacted | Self::FutureRevision | Self::LeaseNotFound | Self::TooLarge => {
                StoreError::Unavailable(format!("etcd gave an answer that does not fit the question: {self:?}"))
            }
        }
    }

    /// For a change that must not be made twice.
    pub(super) fn of_change(self) -> StoreError {
        match self {
            Self::Away {
                reason,
                begun: Begun::Perhaps,
            } => StoreError::Unknown(reason),
            other => other.harmless(),
        }
    }
}

impl From<etcd_client::Error> for Failure {
    fn from(error: etcd_client::Error) -> Self {
        match error {
            etcd_client::Error::GRpcStatus(status) => of_status(&status),
            etcd_client::Error::LeaseKeepAliveError(_) => Self::LeaseNotFound,
            error => Self::away(error.to_string(), Begun::Perhaps),
        }
    }
}

fn of_status(status: &Status) -> Failure {
    let message = status.message();
    let says = |part: &str| message.contains(part);
    match status.code() {
        Code::Unauthenticated => Failure::Token(message.into()),
        // Of a role that was changed after the token was made.
        Code::InvalidArgument if says("revision of auth store is old") => Failure::Token(message.into()),
        Code::InvalidArgument if says("user name is empty") => {
            Failure::Refused("etcd asks for a user and a password, and none is configured".into())
        }
        Code::InvalidArgument if says("authentication failed") => {
            Failure::Refused("etcd does not know this user with this password".into())
        }
        Code::FailedPrecondition if says("authentication is not enabled") => Failure::Refused(
            "a user is configured, but etcd asks for none; run `etcdctl auth enable` or take the user out".into(),
        ),
        Code::PermissionDenied => Failure::Refused(format!(
            "etcd's user may not do this ({message}); give it the roles of docs/operations.md"
        )),
        Code::OutOfRange if says("has been compacted") => Failure::Compacted,
        Code::OutOfRange if says("future revision") => Failure::FutureRevision,
        Code::OutOfRange if says("message length too large") => Failure::TooLarge,
        Code::NotFound if says("lease not found") => Failure::LeaseNotFound,
        Code::ResourceExhausted if says("space exceeded") => Failure::Full,
        Code::ResourceExhausted => Failure::away(message, Begun::No),
        Code::InvalidArgument | Code::FailedPrecondition | Code::NotFound | Code::Unimplemented => {
            Failure::Refused(message.into())
        }
        // Said before the request is looked at, since we ask for a leader with each.
        Code::Unavailable if says("no leader") => Failure::away(message, Begun::No),
        _ if is_connect_error(status) => Failure::away(whole(status), Begun::No),
        _ => Failure::away(whole(status), Begun::Perhaps),
    }
}

fn is_connect_error(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// With its causes: "transport error" alone helps nobody.
fn whole(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(code: Code, message: &str) -> StoreError {
        Failure::from(etcd_client::Error::GRpcStatus(Status::new(code, message))).of_change()
    }

    #[test]
    fn only_what_may_have_happened_is_unknown() {
        for (code, message) in [
            (Code::Unavailable, "etcdserver: request timed out"),
            (
                Code::Unavailable,
                "etcdserver: request timed out, possibly due to previous leader failure",
            ),
            (Code::Unknown, "transport error"),
            (Code::Internal, "h2 protocol error"),
            (Code::Cancelled, "stream closed"),
            (Code::DeadlineExceeded, "deadline"),
        ] {
            assert!(
                matches!(change(code, message), StoreError::Unknown(_)),
                "{message}"
            );
        }
        for (code, message) in [
            (Code::Unavailable, "etcdserver: no leader"),
            (Code::ResourceExhausted, "etcdserver: too many requests"),
            (
                Code::ResourceExhausted,
                "etcdserver: mvcc: database space exceeded",
            ),
        ] {
            assert!(
                matches!(change(code, message), StoreError::Unavailable(_)),
                "{message}"
            );
        }
        for (code, message) in [
            (Code::PermissionDenied, "etcdserver: permission denied"),
            (Code::InvalidArgument, "etcdserver: request is too large"),
            (
                Code::InvalidArgument,
                "etcdserver: authentication failed, invalid user ID or password",
            ),
        ] {
            assert!(
                matches!(change(code, message), StoreError::Refused(_)),
                "{message}"
            );
        }
    }
}
