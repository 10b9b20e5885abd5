//! One direction's key, and the number of its next record (RFC 8446, section 5.2 and 5.3).

use aws_lc_rs::{
    aead::{
        AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce,
        TlsProtocolId, TlsRecordSealingKey, UnboundKey,
    },
    error::Unspecified,
};
use rustls::ConnectionTrafficSecrets;

use super::{Fault, TlsError};

/// Bytes before every record: type, version, length.
pub(super) const HEADER: usize = 5;
/// Most bytes of content in one record.
pub(super) const MAX_CONTENT: usize = 16 * 1024;
/// What a sealed record has more than its content: header, content type, tag.
pub(super) const OVERHEAD: usize = HEADER + 1 + TAG;
/// Most bytes behind a header: content, its type, padding and tag (RFC 8446, section 5.2).
const MAX_SEALED: usize = MAX_CONTENT + 256;
/// All suites of TLS 1.3 that rustls knows have this one.
const TAG: usize = 16;
/// A protected record looks like application data of TLS 1.2, whatever it holds.
const OUTER_TYPE: u8 = 23;

/// Records that one AES-GCM key may seal: 2^24.5 (RFC 8446, section 5.5), rounded down as rustls does. `ChaCha20` has no such
/// limit; the same one does it no harm.
pub(super) const KEY_LIMIT: u64 = 1 << 24;

pub(super) struct Sealer {
    key: SealingKey,
    iv: [u8; NONCE_LEN],
    sequence: u64,
}

enum SealingKey {
    /// Seals from one buffer into another, and refuses a nonce that does not grow.
    Gcm(TlsRecordSealingKey),
    Other(LessSafeKey),
}

pub(super) struct Opener {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    sequence: u64,
}

/// A record that was authenticated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) kind: u8,
    /// Bytes of content, at the start of what was opened.
    pub(super) length: usize,
}

impl Sealer {
    pub(super) fn new(sequence: u64, secrets: &ConnectionTrafficSecrets) -> Result<Self, TlsError> {
        let (algorithm, key, iv) = parts(secrets)?;
        let mut sealer = Self {
            key: SealingKey::new(algorithm, key).map_err(|Unspecified| TlsError::Key)?,
            iv,
            sequence,
        };
        sealer.prime().map_err(|Unspecified| TlsError::Key)?;
        Ok(sealer)
    }

    /// aws-lc holds the first nonce that it sees for that of record 0, and compares all others with it. What is sealed for
    /// this goes nowhere.
    fn prime(&mut self) -> Result<(), Unspecified> {
        if let SealingKey::Gcm(key) = &mut self.key
            && self.sequence > 0
        {
            let _tag = key.seal_in_place_separate_tag(nonce(&self.iv, 0), Aad::empty(), &mut [])?;
        }
        Ok(())
    }

    /// Records that this key has sealed.
    pub(super) const fn used(&self) -> u64 {
        self.sequence
    }

    /// Fills `record`, which is longer than `content` by [`OVERHEAD`].
    pub(super) fn seal(
        &mut self,
        kind: u8,
        content: &[u8],
        record: &mut [u8],
    ) -> Result<(), TlsError> {
        let nonce = nonce(&self.iv, self.sequence);
        // Not reached: keys change long before.
        self.sequence = self.sequence.checked_add(1).ok_or(TlsError::Key)?;
        let (header, sealed) = record.split_at_mut(HEADER);
        let length = u16::try_from(sealed.len()).map_err(|_| TlsError::Key)?;
        let [high, low] = length.to_be_bytes();
        let written = [OUTER_TYPE, 3, 3, high, low];
        header.copy_from_slice(&written);
        let sealing = self
            .key
            .seal(nonce, Aad::from(written), kind, content, sealed);
        sealing.map_err(|Unspecified| TlsError::Key)
    }
}

impl SealingKey {
    fn new(algorithm: &'static Algorithm, key: &[u8]) -> Result<Self, Unspecified> {
        if *algorithm == CHACHA20_POLY1305 {
            return Ok(Self::Other(LessSafeKey::new(UnboundKey::new(
                algorithm, key,
            )?)));
        }
        TlsRecordSealingKey::new(algorithm, TlsProtocolId::TLS13, key).map(Self::Gcm)
    }

    fn seal(
        &mut self,
        nonce: Nonce,
        header: Aad<[u8; HEADER]>,
        kind: u8,
        content: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), Unspecified> {
        match self {
            Self::Gcm(key) => {
                let (text, rest) = sealed.split_at_mut(content.len());
                key.seal_out_of_place_scatter(nonce, header, content, text, &[kind], rest)
            }
            Self::Other(key) => {
                let (text, tag) = sealed.split_at_mut(content.len() + 1);
                text[..content.len()].copy_from_slice(content);
                text[content.len()] = kind;
                let sealed = key.seal_in_place_separate_tag(nonce, header, text)?;
                tag.copy_from_slice(sealed.as_ref());
                Ok(())
            }
        }
    }
}

impl Opener {
    pub(super) fn new(sequence: u64, secrets: &ConnectionTrafficSecrets) -> Result<Self, TlsError> {
        let (algorithm, key, iv) = parts(secrets)?;
        let key = UnboundKey::new(algorithm, key).map_err(|Unspecified| TlsError::Key)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            iv,
            sequence,
        })
    }

    /// Opens in place. Nothing of `sealed` is to be looked at when this fails.
    pub(super) fn open(
        &mut self,
        header: [u8; HEADER],
        sealed: &mut [u8],
    ) -> Result<Opened, TlsError> {
        let nonce = nonce(&self.iv, self.sequence);
        self.sequence = self.sequence.checked_add(1).ok_or(TlsError::Key)?;
        let opening = self.key.open_in_place(nonce, Aad::from(header), sealed);
        let text = opening.map_err(|Unspecified| Fault::BadRecord)?;
        // The type stands behind the content, zeros behind the type (RFC 8446, section 5.4).
        let last = text.iter().rposition(|byte| *byte != 0);
        let length = last.ok_or(Fault::Unexpected)?;
        if length > MAX_CONTENT {
            return Err(Fault::TooLong.into());
        }
        Ok(Opened {
            kind: text[length],
            length,
        })
    }
}

/// How many bytes follow a header.
pub(super) fn sealed_length(header: [u8; HEADER]) -> Result<usize, Fault> {
    // The version is authenticated and means nothing (RFC 8446, section 5.1).
    let [kind, _, _, high, low] = header;
    if kind != OUTER_TYPE {
        return Err(Fault::Unexpected);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    match length {
        0..=TAG => Err(Fault::BadRecord),
        _ if length > MAX_SEALED => Err(Fault::TooLong),
        _ => Ok(length),
    }
}

fn nonce(iv: &[u8; NONCE_LEN], sequence: u64) -> Nonce {
    let mut nonce = *iv;
    let number = sequence.to_be_bytes();
    let tail = nonce.iter_mut().rev().zip(number.iter().rev());
    tail.for_each(|(byte, number)| *byte ^= number);
    Nonce::assume_unique_for_key(nonce)
}

fn parts(
    secrets: &ConnectionTrafficSecrets,
) -> Result<(&'static Algorithm, &[u8], [u8; NONCE_LEN]), TlsError> {
    let (algorithm, key, iv) = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
        _ => return Err(TlsError::Key),
    };
    let iv = iv.as_ref().try_into().map_err(|_| TlsError::Key)?;
    Ok((algorithm, key.as_ref(), iv))
}
