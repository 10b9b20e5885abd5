//! The control stream: messages as lines of JSON, bounded.

mod line;

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use zeroize::Zeroizing;

pub use self::line::{LineError, LineSplitter, parse};
use crate::{limits, message::Vocabulary};

/// Bytes asked of the stream at a time: most lines are shorter.
const READ: usize = 2048;

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("the control stream ended inside a line")]
    Truncated,
    #[error("the control stream failed: {0}")]
    Io(#[from] io::Error),
}

#[derive(Debug)]
pub struct ControlReader<R> {
    stream: R,
    lines: LineSplitter,
}

#[derive(Debug)]
pub struct ControlWriter<W> {
    stream: W,
}

impl<R: AsyncRead + Unpin> ControlReader<R> {
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            lines: LineSplitter::default(),
        }
    }

    /// The next message; none when the peer has ended the stream. Nothing is lost when the future is dropped.
    pub async fn next<M: Vocabulary>(&mut self) -> Result<Option<M>, ControlError> {
        loop {
            if let Some(line) = self.lines.next_line()? {
                return Ok(Some(parse(&line)?));
            }
            match poll_fn(|cx| self.poll_more(cx)).await? {
                0 if self.lines.is_empty() => return Ok(None),
                0 => return Err(ControlError::Truncated),
                _ => {}
            }
        }
    }

    /// Through a buffer that is there only while something is read: a session waits here for hours.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = [0; READ];
        let mut read = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        self.lines.push(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }
}

impl<W: AsyncWrite + Unpin> ControlWriter<W> {
    pub const fn new(stream: W) -> Self {
        Self { stream }
    }

    /// Writes one line. Not to be dropped half way: the peer could not tell where the next line begins.
    pub async fn send<M: Vocabulary>(&mut self, message: &M) -> Result<(), ControlError> {
        // A line may hold a token.
        let mut line = Zeroizing::new(serde_json::to_vec(message).map_err(LineError::from)?);
        line.push(b'\n');
        if line.len() > limits::CONTROL_LINE {
            return Err(LineError::TooLong.into());
        }
        self.stream.write_all(&line).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Ends this direction of the stream.
    pub async fn finish(&mut self) -> Result<(), ControlError> {
        Ok(self.stream.shutdown().await?)
    }
}

#[cfg(test)]
mod tests;
