//! `authorization: Bearer adit_<id>_<secret>` (RFC 6750, section 2.1).

use tonic::Request;

use super::Api;
use crate::{
    Caller,
    error::{ControlError, ErrorCode},
};

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
        let result = self.core.authenticate(key.trim()).await;
        if result.is_err() {
            self.core.metrics.refused_keys.inc();
        }
        result
    }
}
