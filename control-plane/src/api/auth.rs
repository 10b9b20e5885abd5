//! `authorization: Bearer adit_<id>_<secret>`, or an access token of the scope `api` (RFC 6750, section 2.1).

use model::AccountId;
use tonic::Request;

use super::{Api, now};
use crate::{
    Caller,
    core::{Action, Deed},
    error::{ControlError, ErrorCode},
    listen::PeerAddress,
};

/// Characters of a refused call's target that are recorded: the caller chose them.
const MAX_TARGET: usize = 256;

impl Api {
    /// A member or an administrator: whoever may call what is not for one role alone. Keys of edges and agents are refused,
    /// so that a new call is closed to them until it is opened.
    pub(super) async fn caller<T>(&self, request: &Request<T>) -> Result<Caller, ControlError> {
        let caller = self.anyone(request).await?;
        caller.must_be_user()?;
        Ok(caller)
    }

    /// The holder of any key; a call that takes it says next which roles it is for.
    pub(super) async fn anyone<T>(&self, request: &Request<T>) -> Result<Caller, ControlError> {
        if !self.core.has_begun() {
            return Err(ControlError::new(
                ErrorCode::Unavailable,
                "the provider waits for its store: try again",
            ));
        }
        let header = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let missing =
            || ControlError::new(ErrorCode::Unauthenticated, "this call needs an API key");
        let (scheme, key) = header
            .and_then(|text| text.split_once(' '))
            .ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing());
        }
        let key = key.trim();
        // A token has dots, which no key has.
        let result = if key.contains('.') {
            self.core.authenticate_token(key, now()).await
        } else {
            self.core.authenticate(key).await
        };
        if result.is_err() {
            self.core.metrics.refused_keys.inc();
        }
        let from = request.extensions().get::<PeerAddress>();
        result.map(|caller| Caller {
            from: from.map(|peer| peer.0),
            ..caller
        })
    }

    /// The account that a request names, or the caller's own; another one's is for administrators.
    pub(super) fn account_of(caller: &Caller, named: &str) -> Result<AccountId, ControlError> {
        if named.is_empty() {
            return Ok(caller.account.clone());
        }
        let account = named.parse().map_err(ControlError::invalid)?;
        caller.must_own(&account)?;
        Ok(account)
    }

    /// Records a call that was refused for want of a right, and hands the result on.
    pub(super) async fn noted<T>(
        &self,
        caller: &Caller,
        action: Action,
        target: &str,
        result: Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        if let Err(error) = &result
            && error.code == ErrorCode::NotAllowed
        {
            let deed = Deed {
                by: Some(caller),
                action,
                account: None,
                target: &target.chars().take(MAX_TARGET).collect::<String>(),
            };
            self.core.note_refusal(&deed, error.code, now()).await;
        }
        result
    }
}
