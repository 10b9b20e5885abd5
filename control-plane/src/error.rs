//! What a caller can be told, with a code that docs/errors.md explains.

use std::fmt;

use store::{EnvelopeError, StoreError, schema::SchemaError};

/// Stable codes, sent as the metadata `adit-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    Unauthenticated,
    NotAllowed,
    Invalid,
    NameTaken,
    Exists,
    NameReserved,
    NameOutsideZone,
    KindDiffers,
    NotFound,
    TooMany,
    NoPortLeft,
    NotSupported,
    Unavailable,
    Internal,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ControlError {
    pub code: ErrorCode,
    pub message: String,
}

impl ErrorCode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::NotAllowed => "not-allowed",
            Self::Invalid => "invalid",
            Self::NameTaken => "name-taken",
            Self::Exists => "exists",
            Self::NameReserved => "name-reserved",
            Self::NameOutsideZone => "name-outside-zone",
            Self::KindDiffers => "kind-differs",
            Self::NotFound => "not-found",
            Self::TooMany => "too-many",
            Self::NoPortLeft => "no-port-left",
            Self::NotSupported => "not-supported",
            Self::Unavailable => "store-unavailable",
            Self::Internal => "internal",
        }
    }
}

impl ControlError {
    pub(crate) fn new(code: ErrorCode, message: impl fmt::Display) -> Self {
        Self {
            code,
            message: message.to_string(),
        }
    }

    pub(crate) fn invalid(message: impl fmt::Display) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self::new(ErrorCode::Internal, message)
    }
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> Self {
        Self::new(ErrorCode::Unavailable, error)
    }
}

impl From<SchemaError> for ControlError {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Store(error) => error.into(),
            SchemaError::Contended => Self::new(ErrorCode::Unavailable, error),
            SchemaError::Newer { .. } | SchemaError::Restoring => {
                Self::new(ErrorCode::NotSupported, error)
            }
        }
    }
}

impl From<EnvelopeError> for ControlError {
    fn from(error: EnvelopeError) -> Self {
        Self::internal(error)
    }
}

impl From<ControlError> for tonic::Status {
    /// The one place where codes become gRPC's.
    fn from(error: ControlError) -> Self {
        use tonic::Code;
        let code = match error.code {
            ErrorCode::Unauthenticated => Code::Unauthenticated,
            ErrorCode::NotAllowed | ErrorCode::NameReserved | ErrorCode::NameOutsideZone => {
                Code::PermissionDenied
            }
            ErrorCode::Invalid => Code::InvalidArgument,
            ErrorCode::NameTaken | ErrorCode::Exists => Code::AlreadyExists,
            ErrorCode::KindDiffers | ErrorCode::NotSupported => Code::FailedPrecondition,
            ErrorCode::NotFound => Code::NotFound,
            ErrorCode::TooMany | ErrorCode::NoPortLeft => Code::ResourceExhausted,
            ErrorCode::Unavailable => Code::Unavailable,
            ErrorCode::Internal => Code::Internal,
        };
        if error.code == ErrorCode::Internal {
            tracing::error!(%error, "a call failed");
        }
        let mut metadata = tonic::metadata::MetadataMap::new();
        let name = tonic::metadata::MetadataValue::from_static(error.code.as_str());
        metadata.insert(proto::ERROR_METADATA, name);
        Self::with_metadata(code, error.message, metadata)
    }
}
