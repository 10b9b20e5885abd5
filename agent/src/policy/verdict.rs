//! What a session's end means for the tunnel: come back, come back with a new token, or give up.

use tunnel::Code;

/// Refusals in a row that name the token, after which a fresh token is as good as any.
const TOKENS_TRIED: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Retry,
    /// The token is at fault; the next attempt needs another.
    NewToken,
    GiveUp,
}

/// `refused_tokens` counts the refusals of tokens since the last welcome, this one included.
pub(crate) fn of(code: Code, refused_tokens: u32) -> Verdict {
    match code {
        Code::Auth | Code::Expired if refused_tokens >= TOKENS_TRIED => Verdict::GiveUp,
        Code::Auth | Code::Expired => Verdict::NewToken,
        Code::Protocol | Code::Version | Code::Forbidden | Code::Replaced | Code::Revoked => {
            Verdict::GiveUp
        }
        _ => Verdict::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_codes() {
        for code in [
            Code::Protocol,
            Code::Version,
            Code::Forbidden,
            Code::Replaced,
            Code::Revoked,
        ] {
            assert_eq!(of(code, 0), Verdict::GiveUp, "{code:?}");
        }
        for code in [
            Code::Ok,
            Code::Conflict,
            Code::Limit,
            Code::Draining,
            Code::Internal,
            Code::Idle,
        ] {
            assert_eq!(of(code, 9), Verdict::Retry, "{code:?}");
        }
        for code in [Code::Auth, Code::Expired] {
            assert_eq!(of(code, 1), Verdict::NewToken);
            assert_eq!(of(code, 3), Verdict::GiveUp);
        }
    }
}
