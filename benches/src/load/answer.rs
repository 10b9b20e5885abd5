//! Reads HTTP answers: status, length, and no more.

use tokio::io::AsyncReadExt;

use super::visit::Duplex;
use crate::problem::{Doing, Outcome, Problem};

/// A head; a proxy's own headers and error pages fit.
const HEAD: usize = 64 * 1024;

/// What is read and not yet used.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) buffer: Vec<u8>,
}

impl Reader {
    /// Reads a head, which must say 200, and leaves what follows it in the buffer.
    pub(crate) async fn head(&mut self, stream: &mut dyn Duplex) -> Outcome<u64> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if self.buffer.len() > HEAD || self.more(stream).await? == 0 {
                return Err(Problem::new("the connection ended within a head"));
            }
        };
        let length = length(&self.buffer[..end])?;
        self.buffer.drain(..end);
        Ok(length)
    }

    /// Reads one whole answer and returns its body.
    pub(crate) async fn whole(&mut self, stream: &mut dyn Duplex) -> Outcome<Vec<u8>> {
        let length = self.head(stream).await?;
        let length = usize::try_from(length).doing("the length of an answer")?;
        while self.buffer.len() < length {
            if self.more(stream).await? == 0 {
                return Err(Problem::new("the connection ended within a body"));
            }
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    async fn more(&mut self, stream: &mut dyn Duplex) -> Outcome<usize> {
        self.buffer.reserve(4096);
        stream.read_buf(&mut self.buffer).await.doing("read")
    }
}

fn length(head: &[u8]) -> Outcome<u64> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        return Err(Problem::new(format!("the answer is {status:?}")));
    }
    lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or_else(|| Problem::new("an answer without a length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_200_with_a_length_will_do() {
        assert_eq!(
            length(b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 7\r\n\r\n").unwrap(),
            7
        );
        assert!(length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(length(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 7\r\n\r\n").is_err());
    }
}
