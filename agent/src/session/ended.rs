//! Why a session did not come about, or is over.

use tunnel::{
    Code, TransportError,
    control::{ControlError, LineError},
    message::ErrorMessage,
};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    /// The edge says why, in a line or with the code of the connection's end.
    #[error("{} ({})", .0.msg, .0.code.name())]
    Refused(ErrorMessage),
    #[error("{0}")]
    Lost(String),
}

impl From<TransportError> for Ended {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Closed { code, reason } if code != Code::Ok => {
                let reason = if reason.is_empty() {
                    "the edge closed the session".into()
                } else {
                    reason
                };
                Self::Refused(ErrorMessage::new(code, reason))
            }
            other => Self::Lost(other.to_string()),
        }
    }
}

impl From<ControlError> for Ended {
    fn from(error: ControlError) -> Self {
        if let ControlError::Io(error) = &error
            && let Some(end) = TransportError::of(error)
        {
            return end.clone().into();
        }
        match error {
            // What the edge insists on we cannot do; another try would meet the same.
            ControlError::Line(error @ LineError::Critical(_)) => {
                Self::Refused(ErrorMessage::new(Code::Version, error.to_string()))
            }
            other => Self::Lost(other.to_string()),
        }
    }
}
