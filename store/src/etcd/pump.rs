//! The task behind a watch: takes etcd's messages, hands out commits, and goes on at the same revision when its member is lost.

use std::{sync::Arc, time::Duration};

use etcd_client::{
    EventType,
    proto::{PbEvent, PbWatchResponse},
};
use model::Revision;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    gather::Gather,
    links::Links,
    namespace,
    version::Progress,
    watch::{Running, begin},
};
use crate::{Batch, Change, Event, Prefix, StoreError, WatchError};

/// After so long a silence the member is asked for progress, which also shows that it lives.
const SILENCE: Duration = Duration::from_secs(5);
/// It has so long to say anything at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Between two questions for progress that somebody waits for: the member was behind, and it catches up within some of these.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Nobody waits longer than that for progress, so after that it is asked for at leisure again.
const WANTED_FOR: Duration = Duration::from_secs(10);
/// The watch that etcd names when an answer is about all of a stream.
const EVERY_WATCH: i64 = -1;

pub(super) struct Pump {
    pub(super) links: Arc<Links>,
    pub(super) prefix: Prefix,
    pub(super) gather: Gather,
    pub(super) out: mpsc::Sender<Result<Batch, WatchError>>,
    pub(super) wanted: watch::Receiver<Revision>,
}

/// Why a stream is not followed any more.
enum End {
    /// Nobody reads it.
    Unread,
    Compacted {
        oldest: Revision,
    },
    Lost(String),
}

/// When to ask, and until when to wait for the answer.
struct Clock {
    progress: Progress,
    wanted_until: Instant,
    ask_at: Instant,
    answer_until: Option<Instant>,
}

impl Pump {
    pub(super) async fn run(mut self, mut running: Running) {
        loop {
            let begun_at = self.gather.seen();
            let end = self.follow(&mut running).await;
            match self.go_on(end, begun_at).await {
                Ok(again) => running = again,
                Err(Some(last)) => {
                    // Fails when nobody reads it any more.
                    let _ = self.out.send(Err(last)).await;
                    return;
                }
                Err(None) => return,
            }
        }
    }

    /// The stream that takes the place of the one that ended, or the last word.
    async fn go_on(&mut self, end: End, begun_at: Revision) -> Result<Running, Option<WatchError>> {
        let reason = match end {
            End::Unread => return Err(None),
            End::Compacted { oldest } => {
                self.links.tally.compacted.up();
                return Err(Some(WatchError::Compacted { oldest }));
            }
            End::Lost(reason) => reason,
        };
        let at = self.gather.seen();
        tracing::debug!(prefix = %self.prefix, %at, reason, "a watch lost its stream");
        if at == begun_at {
            // The next stream may end as soon; whoever watches waits a little before the next try.
            return Err(Some(WatchError::Closed));
        }
        self.gather = Gather::new(at);
        match begin(&self.links, &self.prefix, at).await {
            Ok(again) => {
                self.links.tally.watches_resumed.up();
                Ok(again)
            }
            Err(StoreError::Compacted { oldest }) => Err(Some(WatchError::Compacted { oldest })),
            Err(_) => Err(Some(WatchError::Closed)),
        }
    }

    async fn follow(&mut self, running: &mut Running) -> End {
        let broken = running.link.broken.clone();
        let mut clock = Clock::new(running.link.progress);
        loop {
            let told = tokio::select! {
                () = self.out.closed() => return End::Unread,
                () = broken.cancelled() => return End::Lost("its member was given up".into()),
                // The sender goes when nobody reads.
                wanted = self.wanted.changed() => match wanted {
                    Ok(()) => {
                        clock.wanted(*self.wanted.borrow_and_update() > self.gather.seen());
                        continue;
                    }
                    Err(_) => return End::Unread,
                },
                () = until(clock.rings()) => {
                    if clock.answer_until.is_some() {
                        self.links.tally.deadlines.up();
                        self.links.give_up(&running.link, "a watch got no answer");
                        return End::Lost("the member does not answer".into());
                    }
                    clock.asked();
                    match running.requests.request_progress().await {
                        Ok(()) => continue,
                        Err(error) => return End::Lost(error.to_string()),
                    }
                }
                told = running.responses.message() => told,
            };
            let end = match told {
                Ok(Some(response)) => self.take(response.0, clock.progress).await,
                Ok(None) => Some(End::Lost("the member ended the stream".into())),
                Err(error) => Some(End::Lost(error.to_string())),
            };
            if let Some(end) = end {
                return end;
            }
            clock.answered(*self.wanted.borrow() > self.gather.seen());
        }
    }

    async fn take(&mut self, response: PbWatchResponse, progress: Progress) -> Option<End> {
        if response.compact_revision > 0 {
            let oldest = namespace::revision(response.compact_revision);
            return Some(End::Compacted { oldest });
        }
        if response.canceled {
            return Some(End::Lost(response.cancel_reason));
        }
        if response.fragment {
            self.links.tally.fragments.up();
        }
        let batches = if response.events.is_empty() {
            let in_order = progress == Progress::InOrder || response.watch_id != EVERY_WATCH;
            let there = response.header.filter(|_| in_order && !response.fragment);
            let revision = namespace::revision(there.map_or(0, |header| header.revision));
            self.gather.progress(revision).into_iter().collect()
        } else {
            let prefix = self.links.prefix();
            let events = response.events.into_iter();
            let ours = events.filter_map(|told| {
                let event = event(prefix, told);
                if event.is_none() {
                    self.links.tally.foreign_keys.up();
                }
                event
            });
            self.gather.take(ours, response.fragment)
        };
        for batch in batches {
            if self.out.send(Ok(batch)).await.is_err() {
                return Some(End::Unread);
            }
        }
        None
    }
}

fn event(prefix: &str, told: PbEvent) -> Option<Event> {
    let is_delete = told.r#type == EventType::Delete as i32;
    let row = told.kv?;
    Some(Event {
        revision: namespace::revision(row.mod_revision),
        change: if is_delete {
            Change::Delete(namespace::inner(prefix, &row.key)?)
        } else {
            Change::Put(namespace::entry(prefix, row)?)
        },
    })
}

impl Clock {
    fn new(progress: Progress) -> Self {
        let now = Instant::now();
        Self {
            progress,
            wanted_until: now,
            ask_at: now + SILENCE,
            answer_until: None,
        }
    }

    fn wanted(&mut self, not_there_yet: bool) {
        let now = Instant::now();
        self.wanted_until = now + WANTED_FOR;
        if not_there_yet && self.progress == Progress::InOrder {
            self.ask_at = now;
        }
    }

    fn asked(&mut self) {
        self.answer_until = Some(Instant::now() + ANSWER_WITHIN);
    }

    fn answered(&mut self, not_there_yet: bool) {
        let now = Instant::now();
        let hurry = not_there_yet && self.progress == Progress::InOrder && now < self.wanted_until;
        self.answer_until = None;
        self.ask_at = now + if hurry { ASK_AGAIN } else { SILENCE };
    }

    fn rings(&self) -> Option<Instant> {
        match self.progress {
            Progress::Never => None,
            Progress::Alive | Progress::InOrder => Some(self.answer_until.unwrap_or(self.ask_at)),
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    fn rings_in(clock: &Clock) -> Option<Duration> {
        clock.rings().map(|at| at - Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_asked_for_at_once_and_again_until_it_is_there() {
        let mut clock = Clock::new(Progress::InOrder);
        assert_eq!(rings_in(&clock), Some(SILENCE));
        clock.wanted(true);
        assert_eq!(rings_in(&clock), Some(Duration::ZERO));
        clock.asked();
        assert_eq!(rings_in(&clock), Some(ANSWER_WITHIN));
        clock.answered(true);
        assert_eq!(rings_in(&clock), Some(ASK_AGAIN));
        clock.answered(false);
        assert_eq!(rings_in(&clock), Some(SILENCE));
        // What never comes is not asked for without end.
        clock.wanted(true);
        tokio::time::advance(WANTED_FOR + SOON).await;
        clock.answered(true);
        assert_eq!(rings_in(&clock), Some(SILENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn where_answers_cannot_be_believed_they_only_show_life() {
        let mut clock = Clock::new(Progress::Alive);
        clock.wanted(true);
        assert_eq!(rings_in(&clock), Some(SILENCE));
        clock.asked();
        clock.answered(true);
        assert_eq!(rings_in(&clock), Some(SILENCE));
        let mut clock = Clock::new(Progress::Never);
        clock.wanted(true);
        assert_eq!(rings_in(&clock), None);
    }
}
