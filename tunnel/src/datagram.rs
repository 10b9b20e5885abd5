//! Datagrams in a stream: each is its length as two bytes, most significant first, and then itself. A stream carries one
//! flow, the datagrams between one visitor and the origin (docs/protocol.md, "Datagrams"). Over QUIC most of them go in frames
//! of their own instead ([`frame`]).

pub mod frame;

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

pub use crate::quic::{FrameReceiver, FrameSender, Frames};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, sleep_until},
};

/// The longest payload of UDP over IPv4 and of what a length can say: none that a socket gave is longer.
pub const MAX: usize = u16::MAX as usize;
/// Bytes asked of the stream at a time: a few datagrams of the usual size.
const READ: usize = 8192;
const PREFIX: usize = 2;

/// Cuts a stream's bytes into datagrams. Never holds more than one of them and one read beyond.
#[derive(Debug, Default)]
pub struct Splitter {
    bytes: Vec<u8>,
    /// Where the next one begins.
    start: usize,
}

impl Splitter {
    /// Takes what was read. To be called when [`Self::next_datagram`] has none left.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next one that is there as a whole; it may be empty.
    pub fn next_datagram(&mut self) -> Option<Vec<u8>> {
        let open = &self.bytes[self.start..];
        let (prefix, rest) = open.split_first_chunk::<PREFIX>()?;
        let length = usize::from(u16::from_be_bytes(*prefix));
        let datagram = rest.get(..length)?.to_vec();
        self.start += PREFIX + length;
        if self.start == self.bytes.len() {
            // A flow is silent most of the time.
            *self = Self::default();
        }
        Some(datagram)
    }

    /// Whether the stream may end here.
    pub const fn is_empty(&self) -> bool {
        self.bytes.len() == self.start
    }
}

/// A datagram as it goes into the stream; none for one that is longer than [`MAX`].
pub fn framed(datagram: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(datagram.len()).ok()?;
    Some([&length.to_be_bytes(), datagram].concat())
}

/// The datagrams of one direction of a stream.
#[derive(Debug)]
pub struct DatagramReader<R> {
    stream: R,
    splitter: Splitter,
}

impl<R: AsyncRead + Unpin> DatagramReader<R> {
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            splitter: Splitter::default(),
        }
    }

    /// The next one; none when the peer has ended the flow. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(datagram) = self.splitter.next_datagram() {
                return Ok(Some(datagram));
            }
            match poll_fn(|cx| self.poll_more(cx)).await? {
                0 if self.splitter.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
        }
    }

    /// Through a buffer that is there only while something is read: most flows wait most of the time.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = [0; READ];
        let mut read = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        self.splitter.push(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }
}

/// Writes one datagram. Not to be dropped half way: the peer could not tell where the next one begins.
pub async fn write<W: AsyncWrite + Unpin>(stream: &mut W, datagram: &[u8]) -> io::Result<()> {
    let framed = framed(datagram).ok_or(io::ErrorKind::InvalidInput)?;
    stream.write_all(&framed).await?;
    stream.flush().await
}

/// How long a flow has been silent: UDP says no goodbye.
#[derive(Debug)]
pub struct Silence {
    /// Since when, and how long it may last.
    state: Mutex<(Instant, Duration)>,
}

impl Silence {
    pub fn new(longest: Duration) -> Self {
        Self {
            state: Mutex::new((Instant::now(), longest)),
        }
    }

    /// From now on it may last so long.
    pub fn may_last(&self, longest: Duration) {
        self.state().1 = longest;
    }

    /// Something came or went.
    pub fn broken(&self) {
        self.state().0 = Instant::now();
    }

    /// Waits until nothing has come or gone for so long.
    pub async fn lasted(&self) {
        loop {
            let (since, longest) = *self.state();
            let until = since + longest;
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// The same for another span than it may last.
    pub async fn lasted_for(&self, longest: Duration) {
        loop {
            let until = self.state().0 + longest;
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, (Instant, Duration)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_however_it_is_cut(
            datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20),
            sizes in proptest::collection::vec(1..700_usize, 1..20),
        ) {
            let stream: Vec<u8> = datagrams.iter().flat_map(|d| framed(d).unwrap()).collect();
            let (mut splitter, mut seen, mut rest) = (Splitter::default(), Vec::new(), &stream[..]);
            for size in sizes.iter().cycle() {
                while let Some(datagram) = splitter.next_datagram() {
                    seen.push(datagram);
                }
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*size).min(rest.len()));
                splitter.push(now);
                rest = later;
            }
            prop_assert_eq!(seen, datagrams);
            prop_assert!(splitter.is_empty());
        }
    }

    #[test]
    fn the_longest_and_the_empty_datagram_are_datagrams() {
        for length in [0, 1, MAX] {
            let framed = framed(&vec![7; length]).unwrap();
            let mut splitter = Splitter::default();
            splitter.push(&framed);
            assert_eq!(splitter.next_datagram().unwrap().len(), length);
        }
        assert_eq!(framed(&vec![0; MAX + 1]), None);
    }

    #[tokio::test]
    async fn a_stream_that_ends_within_a_datagram_is_broken() {
        let whole = framed(b"abc").unwrap();
        let mut reader = DatagramReader::new(&whole[..]);
        assert_eq!(reader.next().await.unwrap().as_deref(), Some(&b"abc"[..]));
        assert_eq!(reader.next().await.unwrap(), None);
        for cut in 1..whole.len() {
            let mut reader = DatagramReader::new(&whole[..cut]);
            let error = reader.next().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_begins_anew_with_each_datagram() {
        let silence = Silence::new(Duration::from_secs(120));
        let begin = Instant::now();
        tokio::time::sleep(Duration::from_secs(100)).await;
        silence.broken();
        silence.lasted().await;
        assert_eq!(begin.elapsed(), Duration::from_secs(220));
    }

    #[tokio::test(start_paused = true)]
    async fn another_span_may_be_waited_for() {
        let silence = Silence::new(Duration::from_secs(120));
        let begin = Instant::now();
        tokio::time::sleep(Duration::from_secs(3)).await;
        silence.lasted_for(Duration::from_secs(5)).await;
        assert_eq!(begin.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_may_be_made_longer_while_it_lasts() {
        let silence = Silence::new(Duration::from_secs(30));
        let begin = Instant::now();
        silence.may_last(Duration::from_secs(120));
        silence.lasted().await;
        assert_eq!(begin.elapsed(), Duration::from_secs(120));
    }
}
