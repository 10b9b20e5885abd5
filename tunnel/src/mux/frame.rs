//! The twelve bytes before every frame.

use std::ops::BitOr;

use super::error::Violation;

pub(super) const HEADER: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data = 0,
    Window = 1,
    Ping = 2,
    GoAway = 3,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) flags: Flags,
    pub(super) stream: u32,
    /// Bytes that follow, credit, number of a ping or reason of a GoAway.
    pub(super) length: u32,
}

impl Flags {
    pub(super) const NONE: Self = Self(0);
    pub(super) const SYN: Self = Self(1);
    pub(super) const ACK: Self = Self(2);
    pub(super) const FIN: Self = Self(4);
    pub(super) const RST: Self = Self(8);

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Header {
    pub(super) fn encode(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[1] = self.kind as u8;
        bytes[2..4].copy_from_slice(&self.flags.0.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.stream.to_be_bytes());
        bytes[8..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }

    /// Flags without a meaning are left alone, as other implementations do.
    pub(super) const fn decode(bytes: &[u8; HEADER]) -> Result<Self, Violation> {
        let [version, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = *bytes;
        if version != 0 {
            return Err(Violation::Version(version));
        }
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Window,
            2 => Kind::Ping,
            3 => Kind::GoAway,
            other => return Err(Violation::FrameType(other)),
        };
        Ok(Self {
            kind,
            flags: Flags(u16::from_be_bytes([f0, f1])),
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_decoded_encodes_to_itself(bytes in any::<[u8; HEADER]>(), kind in 0..4_u8) {
            let bytes = { let mut b = bytes; b[0] = 0; b[1] = kind; b };
            prop_assert_eq!(Header::decode(&bytes).unwrap().encode(), bytes);
        }

        #[test]
        fn other_versions_and_types_are_refused(mut bytes in any::<[u8; HEADER]>()) {
            prop_assume!(bytes[0] != 0 || bytes[1] > 3);
            prop_assert!(Header::decode(&bytes).is_err());
            bytes[0] = 0;
            bytes[1] = 4;
            prop_assert_eq!(Header::decode(&bytes), Err(Violation::FrameType(4)));
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_yamux_specification() {
        let header = Header {
            kind: Kind::Window,
            flags: Flags::SYN | Flags::FIN,
            stream: 0x0102_0304,
            length: 5,
        };
        assert_eq!(header.encode(), [0, 1, 0, 5, 1, 2, 3, 4, 0, 0, 0, 5]);
    }
}
