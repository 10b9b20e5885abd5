//! The frames of the mux, by hand: the kit says what no library would.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub const DATA: u8 = 0;
pub const WINDOW: u8 = 1;
pub const PING: u8 = 2;
pub const GO_AWAY: u8 = 3;

pub const SYN: u16 = 1;
pub const ACK: u16 = 2;
pub const FIN: u16 = 4;
pub const RST: u16 = 8;

/// The first window of a stream, and the longest body that version 1 sends.
pub const FIRST_WINDOW: u32 = 262_144;

/// A header of section 7.3 and what follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub version: u8,
    pub kind: u8,
    pub flags: u16,
    pub stream: u32,
    pub length: u32,
    pub body: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u16, stream: u32, length: u32) -> Self {
        Self {
            kind,
            flags,
            stream,
            length,
            ..Self::default()
        }
    }

    pub fn data(flags: u16, stream: u32, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            length: u32::try_from(body.len()).unwrap_or(u32::MAX),
            body,
            ..Self::new(DATA, flags, stream, 0)
        }
    }

    pub async fn read<R: AsyncRead + Unpin>(io: &mut R) -> io::Result<Self> {
        let mut frame = Self {
            version: io.read_u8().await?,
            kind: io.read_u8().await?,
            flags: io.read_u16().await?,
            stream: io.read_u32().await?,
            length: io.read_u32().await?,
            body: Vec::new(),
        };
        if frame.kind == DATA {
            // Grows with what comes, not with what is promised.
            let mut body = io.take(frame.length.into());
            body.read_to_end(&mut frame.body).await?;
        }
        Ok(frame)
    }

    pub async fn write<W: AsyncWrite + Unpin>(&self, io: &mut W) -> io::Result<()> {
        let mut bytes = vec![self.version, self.kind];
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(self.length.to_be_bytes());
        bytes.extend(&self.body);
        io.write_all(&bytes).await?;
        io.flush().await
    }

    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The session's code that a go away tells.
    pub const fn code(&self) -> u32 {
        match self.length {
            0 | 1 => self.length,
            2 => 9,
            other => other.wrapping_sub(256),
        }
    }
}
