//! A datagram in a frame of its own (RFC 9221): which flow it is of, as a variable-length integer (RFC 9000, section 16), and
//! then itself. The flow is the number of its stream, divided by four and rounded down, as in RFC 9297, section 2.1.

use bytes::{BufMut, Bytes, BytesMut};

/// The first two bits of such an integer tell how many bytes it has.
const LENGTH_BITS: u32 = 2;
/// What the longest one can say.
const MAX_FLOW: u64 = (1 << 62) - 1;

/// None for a flow that no integer names.
pub fn encode(flow: u64, datagram: &[u8]) -> Option<Bytes> {
    let length = [1_usize, 2, 4, 8]
        .into_iter()
        .find(|length| flow <= MAX_FLOW >> (64 - 8 * length))?;
    let form = u64::from(length.trailing_zeros()) << (8 * length - LENGTH_BITS as usize);
    let mut frame = BytesMut::with_capacity(length + datagram.len());
    frame.put_uint(form | flow, length);
    frame.extend_from_slice(datagram);
    Some(frame.freeze())
}

/// The flow and the datagram, which may be empty; none for what is too short to name a flow.
pub fn decode(frame: &[u8]) -> Option<(u64, &[u8])> {
    let form = frame.first()? >> (u8::BITS - LENGTH_BITS);
    let (number, datagram) = frame.split_at_checked(1 << form)?;
    let number = number
        .iter()
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    // Of the longest form the bits of the length are shifted in as well.
    let value = number & (MAX_FLOW >> (64 - (8 << form)));
    Some((value, datagram))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            flow in prop_oneof![0..200_u64, 0..100_000_u64, 0..=MAX_FLOW],
            datagram in proptest::collection::vec(any::<u8>(), 0..1500),
        ) {
            let frame = encode(flow, &datagram).unwrap();
            prop_assert_eq!(decode(&frame), Some((flow, &datagram[..])));
        }

        #[test]
        fn whatever_comes_names_a_flow_or_is_too_short(frame in proptest::collection::vec(any::<u8>(), 0..20)) {
            match decode(&frame) {
                Some((flow, datagram)) => {
                    prop_assert!(flow <= MAX_FLOW && frame.ends_with(datagram));
                    prop_assert!(encode(flow, datagram).unwrap().len() <= frame.len());
                }
                None => prop_assert!(frame.len() < 8),
            }
        }
    }

    /// The examples of RFC 9000, appendix A.1.
    #[test]
    fn numbers_are_written_as_quic_writes_them() {
        let examples: [(u64, &[u8]); 4] = [
            (
                151_288_809_941_952_652,
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c],
            ),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (15_293, &[0x7b, 0xbd]),
            (37, &[0x25]),
        ];
        for (flow, bytes) in examples {
            assert_eq!(encode(flow, b"").unwrap(), bytes);
            assert_eq!(decode(bytes), Some((flow, &b""[..])));
        }
        assert_eq!(decode(&[0x40, 0x25]), Some((37, &b""[..])), "a longer form");
        assert_eq!(encode(MAX_FLOW + 1, b""), None);
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[0xc2, 0, 0]), None);
    }
}
