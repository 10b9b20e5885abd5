//! A commit as data: what must hold, and what then changes, all of it or nothing.

use model::Revision;

use crate::{Key, LeaseId, Root, Value};

/// Conditions, and changes, in one transaction: etcd's default for both (`--max-txn-ops`).
pub const MAX_OPERATIONS: usize = 128;
/// Bytes of all keys and values in one transaction: below etcd's default of 1.5 MiB a request, with room for its framing.
pub const MAX_TRANSACTION_BYTES: usize = 1024 * 1024;

#[derive(Clone, Debug, Default)]
pub struct Transaction {
    conditions: Vec<Condition>,
    operations: Vec<Operation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Absent(Key),
    Present(Key),
    /// The last put of the key was at this revision.
    Modified(Key, Revision),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Put {
        key: Key,
        value: Value,
        lease: Option<LeaseId>,
    },
    /// Deleting what is absent changes nothing and is no error.
    Delete(Key),
}

/// How a commit ended when the store could decide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// Done and durable; a transaction that changed nothing gets the revision it was checked at.
    Done(Revision),
    /// A condition did not hold, and nothing was changed.
    Conflict,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    #[error("a transaction has at most {MAX_OPERATIONS} conditions and as many changes; split it")]
    TooManyOperations,
    #[error("a transaction has at most {MAX_TRANSACTION_BYTES} bytes, this one has {0}; split it")]
    TooLarge(usize),
    #[error("{0} is changed twice in one transaction; keep the last change")]
    Twice(Key),
    #[error("{0} is under secret/: seal its value first")]
    PlainSecret(Key),
    #[error("a value sealed for {sealed_for} was put at {key}")]
    WrongSeal { key: Key, sealed_for: Key },
}

impl Transaction {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn if_absent(self, key: impl Into<Key>) -> Self {
        self.condition(Condition::Absent(key.into()))
    }

    #[must_use]
    pub fn if_present(self, key: impl Into<Key>) -> Self {
        self.condition(Condition::Present(key.into()))
    }

    #[must_use]
    pub fn if_revision(self, key: impl Into<Key>, modified: Revision) -> Self {
        self.condition(Condition::Modified(key.into(), modified))
    }

    /// A key that hung on a lease hangs on it no more.
    #[must_use]
    pub fn put(self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
        self.operation(Operation::Put {
            key: key.into(),
            value: value.into(),
            lease: None,
        })
    }

    #[must_use]
    pub fn put_leased(self, key: impl Into<Key>, value: impl Into<Value>, lease: LeaseId) -> Self {
        self.operation(Operation::Put {
            key: key.into(),
            value: value.into(),
            lease: Some(lease),
        })
    }

    #[must_use]
    pub fn delete(self, key: impl Into<Key>) -> Self {
        self.operation(Operation::Delete(key.into()))
    }

    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// What every backend checks before anything else, so that all refuse the same.
    pub fn check(&self) -> Result<(), TransactionError> {
        if self.conditions.len().max(self.operations.len()) > MAX_OPERATIONS {
            return Err(TransactionError::TooManyOperations);
        }
        let bytes = self.conditions.iter().map(Condition::bytes).sum::<usize>()
            + self.operations.iter().map(Operation::bytes).sum::<usize>();
        if bytes > MAX_TRANSACTION_BYTES {
            return Err(TransactionError::TooLarge(bytes));
        }
        self.operations.iter().try_for_each(Operation::check)?;
        self.check_once_each()
    }

    fn check_once_each(&self) -> Result<(), TransactionError> {
        let mut keys: Vec<_> = self.operations.iter().map(Operation::key).collect();
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(TransactionError::Twice(pair[0].clone())),
            None => Ok(()),
        }
    }

    fn condition(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    fn operation(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }
}

impl Condition {
    pub fn key(&self) -> &Key {
        match self {
            Self::Absent(key) | Self::Present(key) | Self::Modified(key, _) => key,
        }
    }

    /// `modified` is the revision of the key's last put, if the key is there.
    pub fn holds(&self, modified: Option<Revision>) -> bool {
        match self {
            Self::Absent(_) => modified.is_none(),
            Self::Present(_) => modified.is_some(),
            Self::Modified(_, wanted) => modified == Some(*wanted),
        }
    }

    fn bytes(&self) -> usize {
        self.key().as_str().len()
    }
}

impl Operation {
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete(key) => key,
        }
    }

    fn bytes(&self) -> usize {
        let value = match self {
            Self::Put { value, .. } => value.bytes().len(),
            Self::Delete(_) => 0,
        };
        self.key().as_str().len() + value
    }

    fn check(&self) -> Result<(), TransactionError> {
        let Self::Put { key, value, .. } = self else {
            return Ok(());
        };
        match value.sealed_for() {
            Some(sealed_for) if sealed_for != key => Err(TransactionError::WrongSeal {
                key: key.clone(),
                sealed_for: sealed_for.clone(),
            }),
            None if key.root() == Root::Secret => Err(TransactionError::PlainSecret(key.clone())),
            _ => Ok(()),
        }
    }
}
