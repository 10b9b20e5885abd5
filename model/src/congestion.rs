//! Congestion control of the connections between agents and edges.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How fast a sender goes on when packets are lost or late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Congestion {
    /// The system's own for TCP (`net.ipv4.tcp_congestion_control`), CUBIC for QUIC.
    #[default]
    System,
    /// CUBIC (RFC 9438).
    Cubic,
    /// BBR: by measured bandwidth and round trip, whatever is lost.
    Bbr,
    /// Reno (RFC 5681, RFC 9002).
    Reno,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("congestion control is one of {}", Congestion::ALL.map(Congestion::as_str).join(", "))]
pub struct CongestionError;

impl Congestion {
    pub const ALL: [Self; 4] = [Self::System, Self::Cubic, Self::Bbr, Self::Reno];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
            Self::Reno => "reno",
        }
    }
}

impl fmt::Display for Congestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Congestion {
    type Err = CongestionError;

    fn from_str(text: &str) -> Result<Self, CongestionError> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or(CongestionError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_no_other() {
        for congestion in Congestion::ALL {
            assert_eq!(congestion.as_str().parse(), Ok(congestion));
        }
        let error = "vegas".parse::<Congestion>().unwrap_err().to_string();
        assert_eq!(
            error,
            "congestion control is one of system, cubic, bbr, reno"
        );
    }
}
