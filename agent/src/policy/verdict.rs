//! What a session's end means for the tunnel: come back, come back with a new token, or give up.

use tunnel::Code;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Retry,
    /// The token is at fault, or the clock of the edge: the next attempt needs another token, and another edge may take
    /// this one. It is the token's source that may say that there is no use in going on.
    NewToken,
    GiveUp,
}

pub(crate) const fn of(code: Code) -> Verdict {
    match code {
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
            assert_eq!(of(code), Verdict::GiveUp, "{code:?}");
        }
        for code in [
            Code::Ok,
            Code::Conflict,
            Code::Limit,
            Code::Draining,
            Code::Internal,
            Code::Idle,
        ] {
            assert_eq!(of(code), Verdict::Retry, "{code:?}");
        }
        for code in [Code::Auth, Code::Expired] {
            assert_eq!(of(code), Verdict::NewToken);
        }
    }
}
