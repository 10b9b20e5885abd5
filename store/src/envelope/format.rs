//! A sealed value as bytes: `version, key-encryption key id, nonce, wrapped data key, tag | nonce, data, tag`.

use aws_lc_rs::aead::{MAX_TAG_LEN, NONCE_LEN};
use bytes::{BufMut, Bytes, BytesMut};

use super::{EnvelopeError, KekId};

pub(super) const VERSION: u8 = 1;

pub(super) const KEY_LEN: usize = 32;
const TAG_LEN: usize = MAX_TAG_LEN;
const KEK_ID_LEN: usize = 8;
const HEADER_LEN: usize = 1 + KEK_ID_LEN + NONCE_LEN + KEY_LEN + TAG_LEN + NONCE_LEN;

/// The data key, as the key-encryption key wrapped it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrap {
    pub(super) kek: KekId,
    pub(super) nonce: [u8; NONCE_LEN],
    pub(super) wrapped: [u8; KEY_LEN],
    pub(super) tag: [u8; TAG_LEN],
}

/// A sealed value taken apart; nothing in it is believed before it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedParts<'a> {
    pub(super) wrap: Wrap,
    pub(super) nonce: [u8; NONCE_LEN],
    /// Data and its tag.
    pub(super) data: &'a [u8],
}

impl<'a> SealedParts<'a> {
    pub fn decode(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let short = || EnvelopeError::TooShort(bytes.len());
        let (&version, mut rest) = bytes.split_first().ok_or_else(short)?;
        if version != VERSION {
            return Err(EnvelopeError::Version(version));
        }
        let wrap = Wrap {
            kek: KekId(take(&mut rest).ok_or_else(short)?),
            nonce: take(&mut rest).ok_or_else(short)?,
            wrapped: take(&mut rest).ok_or_else(short)?,
            tag: take(&mut rest).ok_or_else(short)?,
        };
        let nonce = take(&mut rest).ok_or_else(short)?;
        if rest.len() < TAG_LEN {
            return Err(short());
        }
        let data = rest;
        Ok(Self { wrap, nonce, data })
    }

    /// Which key-encryption key opens it.
    pub fn kek(&self) -> KekId {
        self.wrap.kek
    }
}

pub(super) fn encode(wrap: &Wrap, nonce: [u8; NONCE_LEN], data: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_LEN + data.len());
    bytes.put_u8(VERSION);
    bytes.put_slice(&wrap.kek.0);
    bytes.put_slice(&wrap.nonce);
    bytes.put_slice(&wrap.wrapped);
    bytes.put_slice(&wrap.tag);
    bytes.put_slice(&nonce);
    bytes.put_slice(data);
    bytes.freeze()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}
