//! A transaction as one etcd transaction, never a nested one.

use std::time::Duration;

use etcd_client::{Compare, CompareOp, PutOptions, Txn, TxnOp};

use super::{
    failure::Failure,
    leases::{Leases, living},
    links::{Links, Patience},
    namespace,
};
use crate::{Commit, Condition, LeaseId, Operation, StoreError, Transaction};

/// A commit that was sent is waited for through an election. After that nobody knows whether it happened, and a try at another
/// member could make it twice.
const COMMIT: Patience = Patience {
    attempt: Duration::from_secs(5),
    whole: Duration::from_secs(6),
};

pub(super) async fn commit(
    links: &Links,
    leases: &Leases,
    transaction: &Transaction,
) -> Result<Commit, StoreError> {
    transaction.check()?;
    let reserved = leases
        .reserve(transaction)
        .inspect_err(|_| links.tally.leases_full.up())?;
    let txn = txn(links.prefix(), transaction);
    let asked = links.once(COMMIT, |client| {
        let txn = txn.clone();
        async move { client.kv_client().txn(txn).await }
    });
    match asked.await {
        Ok(answer) if answer.succeeded() => {
            reserved.done(transaction);
            let revision = answer.header().map_or(0, |header| header.revision());
            Ok(Commit::Done(namespace::revision(revision)))
        }
        Ok(_) => {
            reserved.undone();
            Ok(Commit::Conflict)
        }
        Err(Failure::LeaseNotFound) => {
            reserved.undone();
            Err(gone(links, leases, transaction).await)
        }
        Err(failure) => {
            let error = failure.of_change();
            if matches!(error, StoreError::Unknown(_)) {
                links.tally.unknown.up();
            } else {
                reserved.undone();
            }
            Err(error)
        }
    }
}

fn txn(prefix: &str, transaction: &Transaction) -> Txn {
    let conditions = transaction.conditions().iter();
    let operations = transaction.operations().iter();
    Txn::new()
        .when(
            conditions
                .map(|condition| compare(prefix, condition))
                .collect::<Vec<_>>(),
        )
        .and_then(
            operations
                .map(|operation| change(prefix, operation))
                .collect::<Vec<_>>(),
        )
}

fn compare(prefix: &str, condition: &Condition) -> Compare {
    let key = namespace::outer(prefix, condition.key().as_str());
    match condition {
        Condition::Absent(_) => Compare::version(key, CompareOp::Equal, 0),
        Condition::Present(_) => Compare::version(key, CompareOp::Greater, 0),
        // No put has revision zero, but to etcd every absent key has.
        Condition::Modified(_, revision) if revision.0 == 0 => {
            Compare::version(key, CompareOp::Less, 0)
        }
        Condition::Modified(_, revision) => {
            Compare::mod_revision(key, CompareOp::Equal, namespace::number(*revision))
        }
    }
}

fn change(prefix: &str, operation: &Operation) -> TxnOp {
    let key = namespace::outer(prefix, operation.key().as_str());
    match operation {
        Operation::Put { value, lease, .. } => {
            let options = PutOptions::new().with_lease(lease.map_or(0, namespace::lease_number));
            TxnOp::put(key, value.bytes().to_vec(), Some(options))
        }
        Operation::Delete(_) => TxnOp::delete(key, None),
    }
}

/// etcd does not say which lease it did not find.
async fn gone(links: &Links, leases: &Leases, transaction: &Transaction) -> StoreError {
    let mut named: Vec<LeaseId> = transaction
        .operations()
        .iter()
        .filter_map(|operation| match operation {
            Operation::Put { lease, .. } => *lease,
            Operation::Delete(_) => None,
        })
        .collect();
    named.dedup();
    for lease in &named {
        if named.len() == 1 || matches!(living(links, *lease).await, Ok(false)) {
            links.tally.leases_gone.up();
            leases.forget(*lease);
            return StoreError::LeaseGone(*lease);
        }
    }
    StoreError::Unavailable("etcd misses a lease, but has all that were named".into())
}
