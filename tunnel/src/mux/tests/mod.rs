//! The mux against a model, against another implementation, and against peers that misbehave.

mod endings;
mod lossless;
mod peer;
mod raw;
mod shell;
mod violations;
mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

/// Remembers that it was woken.
#[derive(Debug, Default)]
struct Alarm(AtomicBool);

impl Alarm {
    fn new() -> (Arc<Self>, Waker) {
        let alarm = Arc::new(Self(AtomicBool::new(true)));
        (Arc::clone(&alarm), alarm.into())
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The bytes `from..to` of one direction, which no other has.
fn pattern(salt: u32, from: usize, to: usize) -> Vec<u8> {
    let salt = salt as usize * 97;
    (from..to)
        .map(|at| (at.wrapping_mul(31).wrapping_add(at >> 8).wrapping_add(salt) % 251) as u8)
        .collect()
}
