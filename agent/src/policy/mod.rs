//! What to do when: pure decisions that take the time and the dice as arguments, so that tests need neither.

pub(crate) mod backoff;
pub(crate) mod quic_return;
pub(crate) mod race;
pub(crate) mod refresh;
pub(crate) mod verdict;
