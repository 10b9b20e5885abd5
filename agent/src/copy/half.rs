//! One direction of a copy.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::buffers::{Borrowed, Buffers};

/// Buffers carried in one turn before other tasks get theirs.
const TURN: usize = 16;

/// Which end failed.
#[derive(Debug)]
pub(super) enum Fault {
    Read(io::Error),
    Write(io::Error),
}

#[derive(Debug)]
pub(super) struct Half {
    state: State,
    moved: u64,
    unflushed: bool,
}

#[derive(Debug)]
enum State {
    Reading,
    Writing {
        buffer: Borrowed,
        from: usize,
        to: usize,
    },
    Ending,
    Done,
}

impl Half {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Reading,
            moved: 0,
            unflushed: false,
        }
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub(super) const fn moved(&self) -> u64 {
        self.moved
    }

    /// Carries what is there. Ready when the source has ended and, with `pass_end`, the sink has been told so.
    pub(super) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
        buffers: &Buffers,
        mut seen: impl FnMut(&[u8]),
        pass_end: bool,
    ) -> Poll<Result<(), Fault>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        for _ in 0..TURN {
            match &mut self.state {
                State::Reading => ready!(self.poll_read(cx, source, sink, buffers, &mut seen))?,
                State::Writing { buffer, from, to } => {
                    let piece = &buffer.bytes()[*from..*to];
                    let written = ready!(Pin::new(&mut *sink).poll_write(cx, piece));
                    let written = written.and_then(not_zero).map_err(Fault::Write)?;
                    *from += written;
                    self.moved += written as u64;
                    self.unflushed = true;
                    if from == to {
                        self.state = State::Reading;
                    }
                }
                State::Ending if !pass_end => {
                    return Pin::new(sink).poll_flush(cx).map_err(Fault::Write);
                }
                State::Ending => {
                    ready!(Pin::new(&mut *sink).poll_shutdown(cx)).map_err(Fault::Write)?;
                    self.state = State::Done;
                }
                State::Done => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads into a borrowed buffer, which goes straight back when there is nothing to read.
    fn poll_read<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
        buffers: &Buffers,
        seen: &mut impl FnMut(&[u8]),
    ) -> Poll<Result<(), Fault>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut buffer = buffers.borrow();
        let mut read = ReadBuf::new(buffer.bytes_mut());
        if let Poll::Ready(result) = Pin::new(source).poll_read(cx, &mut read) {
            result.map_err(Fault::Read)?;
            let to = read.filled().len();
            seen(read.filled());
            self.state = match to {
                0 => State::Ending,
                _ => State::Writing {
                    buffer,
                    from: 0,
                    to,
                },
            };
            return Poll::Ready(Ok(()));
        }
        drop(buffer);
        if self.unflushed {
            ready!(Pin::new(sink).poll_flush(cx)).map_err(Fault::Write)?;
            self.unflushed = false;
        }
        Poll::Pending
    }
}

fn not_zero(written: usize) -> io::Result<usize> {
    if written == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(written)
}
