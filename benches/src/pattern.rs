//! The bytes of bulk transfers: each depends on its position, so that what is lost, doubled or swapped is seen.

use std::sync::LazyLock;

/// A prime, so that no frame, record or buffer size divides it and a swap of two of them goes unseen.
const PERIOD: usize = 65_521;
/// The largest piece that is written or checked at once.
pub(crate) const PIECE: usize = 256 * 1024;
/// Compared byte for byte at the begin of each stream; afterwards only the begin of what each read brings is, because
/// comparing all would cost a tenth of the machine.
const WHOLLY: u64 = 8 * 1024 * 1024;
const SAMPLED: usize = 64;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut period: Vec<u8> = Vec::with_capacity(PERIOD);
    for _ in 0..PERIOD {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        period.push(state.to_le_bytes()[0]);
    }
    period
        .iter()
        .copied()
        .cycle()
        .take(PERIOD + PIECE)
        .collect()
});

/// Up to a piece of the stream from `position` on.
pub(crate) fn from(position: u64) -> &'static [u8] {
    let begin = usize::try_from(position % PERIOD as u64).unwrap_or_default();
    &BYTES[begin..begin + PIECE]
}

/// Whether `read` is what stands at `position`.
pub(crate) fn holds(position: u64, read: &[u8]) -> bool {
    let checked = if position < WHOLLY {
        read.len()
    } else {
        read.len().min(SAMPLED)
    };
    read[..checked] == from(position)[..checked]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_byte_or_place_is_seen() {
        let mut read = from(1000)[..100].to_vec();
        assert!(holds(1000, &read));
        assert!(!holds(1001, &read));
        assert!(!holds(1000 + 16 * 1024, &read));
        read[7] ^= 1;
        assert!(!holds(1000, &read));
    }
}
