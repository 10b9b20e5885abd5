//! The head of a stream, read as strictly as the specification lets an edge write it.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::case::{Outcome, ensure, failed};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a head.
const LONGEST: usize = 1024;

/// Types of TLVs that the kit looks at.
pub(crate) const AUTHORITY: u8 = 0x02;
pub(crate) const BIND: u8 = 0xE0;

#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) source: Option<SocketAddr>,
    pub(crate) datagrams: bool,
    tlvs: Vec<(u8, Vec<u8>)>,
}

impl Head {
    pub(crate) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> Outcome<Self> {
        let mut first = [0; 16];
        stream.read_exact(&mut first).await?;
        let length = usize::from(u16::from_be_bytes([first[14], first[15]]));
        ensure!(
            first[..12] == SIGNATURE,
            "a stream does not begin with the signature of PROXY v2: {first:02x?}"
        );
        ensure!(16 + length <= LONGEST, "a head of {} bytes", 16 + length);
        let mut rest = vec![0; length];
        stream.read_exact(&mut rest).await?;
        let command = first[12];
        ensure!(
            matches!(command, 0x20 | 0x21),
            "version and command {command:#04x}"
        );
        let (source, addresses) = match first[13] {
            0x00 => (None, 0),
            0x11 | 0x12 => (address::<4>(&rest), 12),
            0x21 | 0x22 => (address::<16>(&rest), 36),
            other => return failed(format!("family and transport {other:#04x}")),
        };
        ensure!(rest.len() >= addresses, "the addresses are cut short");
        let tlvs = tlvs(&rest[addresses..])?;
        let datagrams = matches!(first[13], 0x12 | 0x22);
        Ok(Self {
            source,
            datagrams,
            tlvs,
        })
    }

    /// Behind NAT the edge sees another address than the kit.
    pub(crate) fn may_be_of(&self, visitor: SocketAddr) -> bool {
        let other = |source: SocketAddr| source != visitor && source.ip() == visitor.ip();
        !self.source.is_some_and(other)
    }

    pub(crate) fn tlv(&self, kind: u8) -> Option<&[u8]> {
        let found = self.tlvs.iter().find(|(of, _)| *of == kind);
        found.map(|(_, value)| value.as_slice())
    }

    /// Each TLV stands once.
    pub(crate) fn once_each(&self) -> Outcome {
        for (at, (kind, _)) in self.tlvs.iter().enumerate() {
            let before = &self.tlvs[..at];
            let twice = before.iter().any(|(known, _)| known == kind);
            ensure!(!twice, "TLV {kind:#04x} stands twice");
        }
        Ok(())
    }

    /// The id that the edge names.
    pub(crate) fn bind(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.tlv(BIND)?.try_into().ok()?))
    }
}

fn address<const N: usize>(bytes: &[u8]) -> Option<SocketAddr>
where
    IpAddr: From<[u8; N]>,
{
    let ip: [u8; N] = bytes.get(..N)?.try_into().ok()?;
    let port = bytes.get(2 * N..2 * N + 2)?.try_into().ok()?;
    Some(SocketAddr::new(ip.into(), u16::from_be_bytes(port)))
}

fn tlvs(mut bytes: &[u8]) -> Outcome<Vec<(u8, Vec<u8>)>> {
    let mut found: Vec<(u8, Vec<u8>)> = Vec::new();
    while let [kind, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        ensure!(
            rest.len() >= length,
            "TLV {kind:#04x} is longer than its head"
        );
        found.push((*kind, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    ensure!(
        bytes.is_empty(),
        "{} bytes behind the last TLV",
        bytes.len()
    );
    Ok(found)
}
