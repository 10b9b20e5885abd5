//! Two sessions back to back, with counters of what must come out: what was written is read, in order, once; ends and aborts are
//! seen as such; nothing is kept; nobody who waits is forgotten.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use tokio::io::ReadBuf;

use super::{
    super::{
        Budget, Config, Role,
        error::Broken,
        flow::{MAX_FRAME, size},
        outgoing::DATA_BOUND,
        session::Session,
    },
    Alarm, pattern,
};
use crate::Code;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Open,
    Write(usize, usize),
    Read(usize, usize),
    Shutdown(usize),
    Reset(usize),
    Drop(usize),
    /// The driver takes the buffer.
    Emit,
    /// So many bytes reach the other side.
    Deliver(usize),
    Wait(u64),
}

/// One direction of a stream, as it should be.
#[derive(Debug, Default)]
pub(super) struct Direction {
    pub(super) written: usize,
    read: usize,
    ended: bool,
}

pub(super) struct Handle {
    reader: (Arc<Alarm>, Waker),
    pub(super) writer: (Arc<Alarm>, Waker),
    /// This side aborted it.
    cut: bool,
    done: bool,
}

pub(super) struct End {
    pub(super) session: Session,
    wire: VecDeque<u8>,
    spare: Vec<u8>,
    pub(super) handles: BTreeMap<u32, Handle>,
    /// What this side sends on each stream.
    pub(super) sends: BTreeMap<u32, Direction>,
    /// Streams that this side aborted.
    cuts: Vec<u32>,
}

pub(super) struct World {
    pub(super) ends: [End; 2],
    now: Instant,
    budget: Arc<Budget>,
}

impl Handle {
    fn new() -> Self {
        Self {
            reader: Alarm::new(),
            writer: Alarm::new(),
            cut: false,
            done: false,
        }
    }
}

impl World {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let budget = Arc::new(Budget::new(64 << 20));
        let end = |role| {
            let mut config = Config::new(Arc::clone(&budget));
            config.max_peer_streams = 1000;
            End {
                session: Session::new(role, config, now),
                wire: VecDeque::new(),
                spare: Vec::new(),
                handles: BTreeMap::new(),
                sends: BTreeMap::new(),
                cuts: Vec::new(),
            }
        };
        Self {
            ends: [end(Role::Client), end(Role::Server)],
            now,
            budget,
        }
    }

    pub(super) fn step(&mut self, side: usize, step: &Step) {
        let ids: Vec<u32> = self.ends[side].handles.keys().copied().collect();
        let pick = |n: usize| (!ids.is_empty()).then(|| ids[n % ids.len()]);
        match *step {
            Step::Open => self.open(side),
            Step::Write(n, most) => {
                pick(n).map(|id| self.write(side, id, most));
            }
            Step::Read(n, most) => {
                pick(n).map(|id| self.read(side, id, most));
            }
            Step::Shutdown(n) => {
                if let Some(id) = pick(n) {
                    self.shutdown(side, id);
                }
            }
            Step::Reset(n) => {
                if let Some(id) = pick(n) {
                    self.ends[side].session.reset(id, Code::Timeout);
                    self.ends[side].cuts.push(id);
                    self.ends[side].handles.get_mut(&id).unwrap().cut = true;
                }
            }
            Step::Drop(n) => {
                if let Some(id) = pick(n) {
                    self.drop(side, id);
                }
            }
            Step::Emit => drop(self.emit(side)),
            Step::Deliver(most) => drop(self.deliver(side, most)),
            Step::Wait(millis) => {
                self.now += Duration::from_millis(millis);
                for end in &mut self.ends {
                    end.session.tick(self.now);
                }
            }
        }
        self.check();
    }

    pub(super) fn open(&mut self, side: usize) {
        let end = &mut self.ends[side];
        if let Ok(id) = end.session.open(self.now) {
            end.handles.insert(id, Handle::new());
            end.sends.insert(id, Direction::default());
        }
    }

    /// Gives whether something was taken.
    pub(super) fn write(&mut self, side: usize, id: u32, most: usize) -> bool {
        let theirs_cut = self.ends[1 - side].cuts.contains(&id);
        let end = &mut self.ends[side];
        let (handle, sends) = (
            end.handles.get_mut(&id).unwrap(),
            end.sends.get_mut(&id).unwrap(),
        );
        let bytes = pattern(id * 2 + side as u32, sends.written, sends.written + most);
        match end.session.poll_write(id, &bytes, &handle.writer.1) {
            Poll::Pending => return false,
            Poll::Ready(Ok(n)) => {
                assert!(!sends.ended && n <= most && (n > 0 || most == 0));
                assert!(n <= size(MAX_FRAME));
                sends.written += n;
            }
            Poll::Ready(Err(Broken::Ended)) => assert!(sends.ended),
            Poll::Ready(Err(Broken::CutHere)) => assert!(handle.cut),
            Poll::Ready(Err(Broken::Reset(code))) => {
                assert!(theirs_cut);
                assert!(matches!(code, Code::Timeout | Code::Aborted));
            }
            Poll::Ready(Err(other)) => panic!("{other:?}"),
        }
        true
    }

    /// Gives whether the direction is over, if it is not waiting.
    pub(super) fn read(&mut self, side: usize, id: u32, most: usize) -> Option<bool> {
        let theirs_cut = self.ends[1 - side].cuts.contains(&id);
        if most == 0 {
            return Some(false);
        }
        let mut space = vec![0; most];
        let mut to = ReadBuf::new(&mut space);
        let end = &mut self.ends[side];
        let handle = &end.handles[&id];
        let polled = end
            .session
            .poll_read(id, &mut to, &handle.reader.1, self.now);
        let cut = handle.cut;
        let other = &mut self.ends[1 - side];
        let got = to.filled();
        match polled {
            Poll::Pending => return None,
            Poll::Ready(Ok(())) if got.is_empty() => {
                let sent = &other.sends[&id];
                assert!(
                    sent.ended && sent.read == sent.written,
                    "an end before the end"
                );
                return Some(true);
            }
            Poll::Ready(Ok(())) => {
                let sent = other.sends.get_mut(&id).unwrap();
                let expected =
                    pattern(id * 2 + (1 - side) as u32, sent.read, sent.read + got.len());
                assert!(got == expected, "changed on its way");
                sent.read += got.len();
                assert!(sent.read <= sent.written);
                return Some(false);
            }
            Poll::Ready(Err(Broken::CutHere)) => assert!(cut),
            Poll::Ready(Err(Broken::Reset(_))) => assert!(theirs_cut),
            Poll::Ready(Err(other)) => panic!("{other:?}"),
        }
        Some(true)
    }

    fn shutdown(&mut self, side: usize, id: u32) {
        let end = &mut self.ends[side];
        if end.session.shutdown(id).is_ok() {
            end.sends.get_mut(&id).unwrap().ended = true;
        }
    }

    fn drop(&mut self, side: usize, id: u32) {
        let end = &mut self.ends[side];
        end.session.forget(id);
        end.handles.remove(&id);
        end.cuts.push(id);
    }

    pub(super) fn emit(&mut self, side: usize) -> bool {
        let end = &mut self.ends[side];
        end.spare.clear();
        let any = end.session.take_output(&mut end.spare);
        end.wire.extend(&end.spare);
        end.session.woken.drain(..).for_each(Waker::wake);
        any
    }

    /// From `side` to the other one.
    pub(super) fn deliver(&mut self, side: usize, most: usize) -> bool {
        let wire = &mut self.ends[side].wire;
        let bytes: Vec<u8> = wire.drain(..most.min(wire.len())).collect();
        let other = &mut self.ends[1 - side];
        other.session.receive(&bytes, self.now);
        other.session.woken.drain(..).for_each(Waker::wake);
        while let Some(id) = other.session.accept().unwrap() {
            other.handles.insert(id, Handle::new());
            other.sends.entry(id).or_default();
        }
        !bytes.is_empty()
    }

    pub(super) fn check(&self) {
        for end in &self.ends {
            let session = &end.session;
            assert_eq!(session.over(), None);
            let unread: usize = session
                .streams
                .values()
                .map(|state| state.unread.len())
                .sum();
            assert_eq!(session.memory.held(), unread);
            let grown: usize = session
                .streams
                .values()
                .map(|state| state.receive.grown())
                .sum();
            assert_eq!(session.memory.grown(), grown);
            // One frame beyond the bound, and control frames.
            assert!(session.out.len() <= DATA_BOUND + size(MAX_FRAME) + 64 * 1024);
            assert!(session.peer_open <= session.peer_held);
        }
    }

    /// Both sides write `more` on every stream, end it and read it to its end. A task is polled only when it was woken.
    pub(super) fn drain(&mut self, more: usize) {
        let goal: BTreeMap<(usize, u32), usize> = [0, 1]
            .into_iter()
            .flat_map(|side| {
                let sends = &self.ends[side].sends;
                sends
                    .iter()
                    .map(move |(id, sent)| ((side, *id), sent.written + more))
            })
            .collect();
        // Everybody's first poll, with the alarms that count.
        for end in &mut self.ends {
            for handle in end.handles.values_mut() {
                (handle.reader, handle.writer) = (Alarm::new(), Alarm::new());
            }
        }
        let mut still = 0;
        while still < 3 {
            let mut moved = false;
            for side in [0, 1] {
                moved |= self.poll_tasks(side, &goal, more);
                moved |= self.emit(side);
                moved |= self.deliver(side, usize::MAX);
            }
            self.check();
            still = if moved { 0 } else { still + 1 };
            self.now += Duration::from_millis(5);
            self.ends.iter_mut().for_each(|end| {
                end.session.tick(self.now);
            });
        }
    }

    fn poll_tasks(
        &mut self,
        side: usize,
        goal: &BTreeMap<(usize, u32), usize>,
        more: usize,
    ) -> bool {
        let mut moved = false;
        let ids: Vec<u32> = self.ends[side].handles.keys().copied().collect();
        for id in ids {
            let handle = &self.ends[side].handles[&id];
            if handle.writer.0.take() {
                let goal = goal.get(&(side, id)).copied().unwrap_or(more);
                moved |= self.finish_writing(side, id, goal);
            }
            let handle = &self.ends[side].handles[&id];
            if handle.reader.0.take() && !handle.done {
                while let Some(over) = self.read(side, id, 50_000) {
                    moved = true;
                    if over {
                        self.ends[side].handles.get_mut(&id).unwrap().done = true;
                        break;
                    }
                }
            }
        }
        moved
    }

    fn finish_writing(&mut self, side: usize, id: u32, goal: usize) -> bool {
        let mut moved = false;
        loop {
            let sent = &self.ends[side].sends[&id];
            let (left, ended) = (goal.saturating_sub(sent.written), sent.ended);
            if left == 0 || ended {
                self.shutdown(side, id);
                return moved;
            }
            let before = sent.written;
            if !self.write(side, id, left.min(30_000)) {
                return moved;
            }
            if self.ends[side].sends[&id].written == before {
                return moved;
            }
            moved = true;
        }
    }

    pub(super) fn finished(mut self) {
        for side in [0, 1] {
            for (id, sent) in &self.ends[side].sends {
                let cut = self.ends.iter().any(|end| end.cuts.contains(id));
                assert!(
                    cut || sent.ended,
                    "stream {id} of {side} could not be written"
                );
                assert!(
                    cut || sent.read == sent.written,
                    "bytes of stream {id} of {side} are lost"
                );
            }
            let ids: Vec<u32> = self.ends[side].handles.keys().copied().collect();
            for id in ids {
                let done = self.ends[side].handles[&id].done;
                assert!(done, "the reader of stream {id} of {side} was forgotten");
                self.drop(side, id);
            }
        }
        for side in [0, 1, 0, 1] {
            self.emit(side);
            self.deliver(side, usize::MAX);
        }
        self.check();
        for end in &self.ends {
            assert!(end.session.streams.is_empty());
            assert_eq!((end.session.peer_open, end.session.peer_held), (0, 0));
        }
        assert_eq!(self.budget.used(), 0);
    }
}
