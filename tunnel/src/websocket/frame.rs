//! The head of a frame (RFC 6455, section 5.2): read as its bytes come, and written.

use super::Violation;

/// The longest head: two bytes, eight of length, four of mask.
pub(super) const MAX_HEAD: usize = 14;
/// The longest body of a control frame (section 5.5).
pub(super) const MAX_CONTROL: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    pub(super) length: u64,
    pub(super) mask: Option<[u8; 4]>,
}

impl Opcode {
    const fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

impl Head {
    /// How many bytes the head has that begins with these; never more than [`MAX_HEAD`].
    pub(super) const fn length_of(first: [u8; 2]) -> usize {
        let length = match first[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if first[1] & MASKED == 0 { 0 } else { 4 };
        2 + length + mask
    }

    /// Of a whole head.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Violation> {
        let (Some(&[first, second]), true) = (
            bytes.first_chunk(),
            bytes.len() == bytes.first_chunk().map_or(0, |two| Self::length_of(*two)),
        ) else {
            return Err(Violation::Length);
        };
        if first & RESERVED != 0 {
            return Err(Violation::Reserved);
        }
        let opcode = match first & 0x0f {
            0 => Opcode::Continuation,
            1 => return Err(Violation::Text),
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return Err(Violation::Opcode),
        };
        let rest = &bytes[2..];
        let (length, mask) = match (second & !MASKED, rest.first_chunk(), rest.first_chunk()) {
            (126, Some(&length), _) => (u64::from(u16::from_be_bytes(length)), &rest[2..]),
            (127, _, Some(&length)) => (u64::from_be_bytes(length), &rest[8..]),
            (length, ..) => (length.into(), rest),
        };
        // In the least number of bytes (section 5.2), and a whole number for everyone.
        let least = match second & !MASKED {
            126 => 126,
            127 => 1 << 16,
            _ => 0,
        };
        if length < least || length > i64::MAX as u64 {
            return Err(Violation::Length);
        }
        let head = Self {
            fin: first & FIN != 0,
            opcode,
            length,
            mask: mask.first_chunk().copied(),
        };
        if opcode.is_control() && (!head.fin || length > MAX_CONTROL as u64) {
            return Err(Violation::Control);
        }
        Ok(head)
    }

    pub(super) fn write(&self, to: &mut Vec<u8>) {
        to.push(if self.fin { FIN } else { 0 } | self.opcode as u8);
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        match self.length {
            length @ 0..126 => to.push(masked | length as u8),
            length @ 126..0x1_0000 => {
                to.push(masked | 126);
                to.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                to.push(masked | 127);
                to.extend_from_slice(&length.to_be_bytes());
            }
        }
        if let Some(mask) = self.mask {
            to.extend_from_slice(&mask);
        }
    }
}

/// Puts a mask on, or takes it off (section 5.3). `at` is where in the frame's body `bytes` begin.
pub(super) fn mask(bytes: &mut [u8], mask: [u8; 4], at: u64) {
    let turn = (at % 4) as usize;
    let mask: [u8; 4] = std::array::from_fn(|index| mask[(index + turn) % 4]);
    let wide = u64::from_ne_bytes(std::array::from_fn(|index| mask[index % 4]));
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::{option, prelude::*, sample::select};

    use super::*;

    fn head(fin: bool, opcode: Opcode, length: u64, mask: Option<[u8; 4]>) -> Head {
        Head {
            fin,
            opcode,
            length,
            mask,
        }
    }

    fn written(head: Head) -> Vec<u8> {
        let mut bytes = Vec::new();
        head.write(&mut bytes);
        bytes
    }

    /// RFC 6455, section 5.7.
    #[test]
    fn the_examples_of_the_standard() {
        let mut body = *b"\x7f\x9f\x4d\x51\x58";
        mask(&mut body, [0x37, 0xfa, 0x21, 0x3d], 0);
        assert_eq!(&body, b"Hello");
        for (bytes, expected) in [
            (&b"\x89\x05"[..], head(true, Opcode::Ping, 5, None)),
            (
                b"\x8a\x85\x37\xfa\x21\x3d",
                head(true, Opcode::Pong, 5, Some([0x37, 0xfa, 0x21, 0x3d])),
            ),
            (b"\x82\x7e\x01\x00", head(true, Opcode::Binary, 256, None)),
            (
                b"\x82\x7f\0\0\0\0\0\x01\0\0",
                head(true, Opcode::Binary, 65536, None),
            ),
        ] {
            assert_eq!(Head::read(bytes), Ok(expected));
            assert_eq!(written(expected), bytes);
        }
    }

    #[test]
    fn what_the_standard_forbids_is_refused() {
        for (bytes, violation) in [
            (&b"\xc2\x01"[..], Violation::Reserved),
            (b"\x92\x01", Violation::Reserved),
            (b"\x81\x01", Violation::Text),
            (b"\x01\x01", Violation::Text),
            (b"\x83\x01", Violation::Opcode),
            (b"\x8b\x01", Violation::Opcode),
            (b"\x09\x01", Violation::Control),
            (b"\x89\x7e\x00\x7e", Violation::Control),
            (b"\x82\x7e\x00\x7d", Violation::Length),
            (b"\x82\x7f\0\0\0\0\0\0\xff\xff", Violation::Length),
            (b"\x82\x7f\x80\0\0\0\0\0\0\0", Violation::Length),
            (b"\x82", Violation::Length),
            (b"\x82\x01\0", Violation::Length),
        ] {
            assert_eq!(Head::read(bytes), Err(violation), "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            fin: bool,
            opcode in select(vec![Opcode::Continuation, Opcode::Binary]),
            length in prop_oneof![0..200_u64, 65_000..66_000_u64, 0..i64::MAX as u64],
            mask in option::of(any::<[u8; 4]>()),
        ) {
            let head = head(fin, opcode, length, mask);
            let bytes = written(head);
            prop_assert_eq!(bytes.len(), Head::length_of([bytes[0], bytes[1]]));
            prop_assert_eq!(Head::read(&bytes), Ok(head));
        }

        #[test]
        fn a_mask_is_the_same_in_one_piece_and_in_many(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            key: [u8; 4],
            cut in 0..100_usize,
        ) {
            let mut whole = bytes.clone();
            mask(&mut whole, key, 0);
            let plain: Vec<u8> = bytes.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b).collect();
            prop_assert_eq!(&whole, &plain);
            let mut parts = bytes;
            let cut = cut.min(parts.len());
            let (left, right) = parts.split_at_mut(cut);
            mask(left, key, 0);
            mask(right, key, cut as u64);
            prop_assert_eq!(parts, plain);
        }
    }
}
