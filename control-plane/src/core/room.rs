//! How many endpoints an account has: counted in the commits that change it, so that claims made at once cannot overshoot.

use model::{AccountId, Revision};
use store::{Key, Transaction, Value, layout};

use super::Core;
use crate::{
    error::{ControlError, ErrorCode},
    metrics::Hit,
};

/// Endpoints of one account; a token may be for all of them.
pub(crate) const MAX_ENDPOINTS: usize = 1000;

/// The count as it was read, to be changed in the commit that claims or releases.
#[derive(Debug)]
pub(super) struct Room {
    key: Key,
    count: usize,
    /// None when it was not there yet.
    seen: Option<Revision>,
}

impl Core {
    pub(super) async fn room(&self, account: &AccountId) -> Result<Room, ControlError> {
        let key = layout::endpoint_count(account);
        Ok(match store::get::<usize>(&*self.store, &key).await? {
            Some((count, modified)) => Room {
                key,
                count,
                seen: Some(modified),
            },
            None => Room {
                key,
                count: self.look(|facts| facts.count_of(account)).await?,
                seen: None,
            },
        })
    }

    /// Room for one more.
    pub(super) async fn free_room(&self, account: &AccountId) -> Result<Room, ControlError> {
        let room = self.room(account).await?;
        if room.count < MAX_ENDPOINTS {
            return Ok(room);
        }
        self.metrics.hit(Hit::Endpoints);
        Err(ControlError::new(
            ErrorCode::TooMany,
            "an account has at most 1000 endpoints: release one",
        ))
    }
}

impl Room {
    pub(super) fn take(&self, transaction: Transaction) -> Result<Transaction, ControlError> {
        self.with(self.count + 1, transaction)
    }

    pub(super) fn give_back(&self, transaction: Transaction) -> Result<Transaction, ControlError> {
        self.with(self.count.saturating_sub(1), transaction)
    }

    /// Whether this is the same count, so that a conflict was about something else.
    pub(super) fn is_same(&self, now: &Self) -> bool {
        self.seen == now.seen
    }

    fn with(&self, count: usize, transaction: Transaction) -> Result<Transaction, ControlError> {
        let key = self.key.clone();
        let unchanged = match self.seen {
            Some(modified) => transaction.if_revision(key.clone(), modified),
            None => transaction.if_absent(key.clone()),
        };
        Ok(unchanged.put(key, Value::json(&count)?))
    }
}
