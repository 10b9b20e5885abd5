//! What an endpoint carried: visits, and the bytes between edge and agent.

use std::{collections::BTreeMap, ops::AddAssign};

use serde::{Deserialize, Serialize};

use crate::{AccountId, ClaimId, EdgeId, UnixTime};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// Sums of some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Requests to `http` endpoints, connections to others; counted when they are over.
    pub visits: u64,
    /// Bytes towards the origin.
    pub up: u64,
    /// Bytes from the origin.
    pub down: u64,
}

/// What one edge counted since its last report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageReport {
    pub edge: EdgeId,
    /// When this run of the edge began, in milliseconds since 1970: later runs have later ones.
    pub run: u64,
    /// Rises by one with each report of a run. The same one may come twice and counts once.
    pub sequence: u64,
    pub entries: Vec<UsageEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageEntry {
    pub account: AccountId,
    pub claim: ClaimId,
    pub usage: Usage,
}

/// One claim's sums of one day (UTC), by its hours; hours without visits or bytes are not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageDay {
    pub hours: BTreeMap<u8, Usage>,
}

impl Usage {
    pub const fn is_zero(&self) -> bool {
        self.visits == 0 && self.up == 0 && self.down == 0
    }
}

/// Sums stay at the highest number rather than begin anew.
impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.visits = self.visits.saturating_add(more.visits);
        self.up = self.up.saturating_add(more.up);
        self.down = self.down.saturating_add(more.down);
    }
}

impl UsageDay {
    /// Days since 1970.
    pub const fn number(at: UnixTime) -> u64 {
        at.as_secs() / DAY
    }

    /// When hour `hour` of day `number` begins.
    pub const fn begin(number: u64, hour: u8) -> UnixTime {
        UnixTime::from_secs(
            number
                .saturating_mul(DAY)
                .saturating_add(hour as u64 * HOUR),
        )
    }

    /// Adds to the hour of `at`.
    pub fn add(&mut self, at: UnixTime, usage: Usage) {
        let hour = (at.as_secs() % DAY / HOUR) as u8;
        *self.hours.entry(hour).or_default() += usage;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_falls_into_its_hour() {
        let mut day = UsageDay::default();
        let one = Usage {
            visits: 1,
            up: 2,
            down: u64::MAX,
        };
        for second in [0, 3599, 3600, DAY - 1] {
            day.add(UnixTime::from_secs(20_000 * DAY + second), one);
        }
        let visits: Vec<_> = day
            .hours
            .iter()
            .map(|(hour, sum)| (*hour, sum.visits))
            .collect();
        assert_eq!(visits, [(0, 2), (1, 1), (23, 1)]);
        assert_eq!(day.hours[&0].down, u64::MAX);
        let at = UnixTime::from_secs(20_000 * DAY + 3600);
        assert_eq!(UsageDay::number(at), 20_000);
        assert_eq!(UsageDay::begin(20_000, 1), at);
    }
}
