//! Codes: why a session, a bind or a stream ended or was refused, the same numbers on every binding.

use std::{fmt, io};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 0 to 12 are about sessions and binds, 0x20 to 0x23 about streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Code {
    Ok = 0,
    Protocol = 1,
    Version = 2,
    Auth = 3,
    Expired = 4,
    /// Host, port or kind are not in the grant, or no longer owned.
    Forbidden = 5,
    /// The endpoint is held exclusively by another session.
    Conflict = 6,
    Limit = 7,
    Draining = 8,
    Internal = 9,
    Idle = 10,
    /// The agent resumed this session on another connection.
    Replaced = 11,
    Revoked = 12,
    OriginRefused = 0x20,
    Aborted = 0x21,
    StreamLimit = 0x22,
    Timeout = 0x23,
}

/// What the side that got a code does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    Never,
    /// Only with a token that was issued anew.
    NewToken,
    /// After a refresh of the token.
    Refresh,
    /// Later, with growing pauses.
    Backoff,
    /// When the time that came with the code is over.
    After,
    /// At another edge.
    Elsewhere,
    /// At once.
    Reconnect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a code of this version of the protocol")]
pub struct UnknownCode(pub u8);

/// The peer aborted a stream. Inside the [`io::Error`] that reading and writing then give; never seen as an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer reset the stream: {code}")]
pub struct StreamReset {
    pub code: Code,
}

impl Code {
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Protocol,
        Self::Version,
        Self::Auth,
        Self::Expired,
        Self::Forbidden,
        Self::Conflict,
        Self::Limit,
        Self::Draining,
        Self::Internal,
        Self::Idle,
        Self::Replaced,
        Self::Revoked,
        Self::OriginRefused,
        Self::Aborted,
        Self::StreamLimit,
        Self::Timeout,
    ];

    /// Stable, for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Protocol => "protocol",
            Self::Version => "version",
            Self::Auth => "auth",
            Self::Expired => "expired",
            Self::Forbidden => "forbidden",
            Self::Conflict => "conflict",
            Self::Limit => "limit",
            Self::Draining => "draining",
            Self::Internal => "internal",
            Self::Idle => "idle",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::OriginRefused => "origin-refused",
            Self::Aborted => "aborted",
            Self::StreamLimit => "stream-limit",
            Self::Timeout => "timeout",
        }
    }

    /// The status where the code is told over HTTP: to an agent that asks for a tunnel, or to a visitor of a stream.
    pub const fn http_status(self) -> Option<u16> {
        Some(match self {
            Self::Ok | Self::Idle => return None,
            Self::Protocol => 400,
            Self::Version => 426,
            Self::Auth | Self::Expired => 401,
            Self::Forbidden | Self::Revoked => 403,
            Self::Conflict | Self::Replaced => 409,
            Self::Limit => 429,
            Self::Draining | Self::StreamLimit => 503,
            Self::Internal => 500,
            Self::OriginRefused | Self::Aborted => 502,
            Self::Timeout => 504,
        })
    }

    pub const fn retry(self) -> Retry {
        match self {
            Self::Ok
            | Self::Protocol
            | Self::Version
            | Self::Forbidden
            | Self::Replaced
            | Self::Revoked => Retry::Never,
            Self::Auth => Retry::NewToken,
            Self::Expired => Retry::Refresh,
            Self::Conflict | Self::Internal => Retry::Backoff,
            Self::Limit => Retry::After,
            Self::Draining => Retry::Elsewhere,
            Self::Idle => Retry::Reconnect,
            // Streams are the visitor's; what was not accepted may be tried again at another session.
            Self::OriginRefused | Self::StreamLimit | Self::Timeout => Retry::Elsewhere,
            Self::Aborted => Retry::Never,
        }
    }

    /// Reads a session's code; one that this version does not know counts as [`Code::Internal`].
    pub fn of_session(number: u64) -> Self {
        Self::known(number).unwrap_or(Self::Internal)
    }

    /// Reads a stream's code; one that this version does not know counts as [`Code::Aborted`].
    pub fn of_stream(number: u64) -> Self {
        Self::known(number).unwrap_or(Self::Aborted)
    }

    fn known(number: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|code| u64::from(u8::from(*code)) == number)
    }
}

impl StreamReset {
    /// The reset that made `error`, if one did.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<StreamReset> for io::Error {
    fn from(reset: StreamReset) -> Self {
        Self::new(io::ErrorKind::ConnectionReset, reset)
    }
}

impl From<Code> for u8 {
    fn from(code: Code) -> Self {
        code as Self
    }
}

impl TryFrom<u8> for Code {
    type Error = UnknownCode;

    fn try_from(number: u8) -> Result<Self, UnknownCode> {
        Self::known(number.into()).ok_or(UnknownCode(number))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8((*self).into())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::of_session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_are_one_to_one() {
        let known: Vec<u8> = (0..=u8::MAX)
            .filter(|n| Code::try_from(*n).is_ok())
            .collect();
        assert_eq!(known, (0..=12).chain(0x20..=0x23).collect::<Vec<_>>());
        for number in known {
            assert_eq!(u8::from(Code::try_from(number).unwrap()), number);
        }
    }

    #[test]
    fn a_code_of_a_later_version_still_has_a_meaning() {
        assert_eq!(Code::of_session(77), Code::Internal);
        assert_eq!(Code::of_stream(1 << 40), Code::Aborted);
        assert_eq!(serde_json::from_str::<Code>("300").unwrap(), Code::Internal);
    }
}
