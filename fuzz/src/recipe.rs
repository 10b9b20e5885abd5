//! Valid inputs, slightly spoiled.

use bolero::TypeGenerator;

/// What parsers stumble over.
const WORDS: [&[u8]; 40] = [
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1.5",
    b"1e999",
    b"18446744073709551615",
    b"18446744073709551616",
    b"4294967296",
    b"65536",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b" ",
    b".",
    b"..",
    b"*",
    b"*.",
    b"/",
    b"//",
    b"=",
    b"port:",
    b"\"crit\":[\"x\"],",
    b"\"t\":\"hello\",",
    b"\"id\":1,",
    "é".as_bytes(),
    b"xn--",
    b"127.0.0.1",
    b"[::1]",
];

/// One of the seeds, edited.
#[derive(Clone, Debug, TypeGenerator)]
pub(crate) struct Recipe {
    seed: u8,
    /// Which of [`EDITS`].
    count: u8,
    edits: Vec<Edit>,
}

/// Places are taken modulo the length that there is.
#[derive(Clone, Debug, TypeGenerator)]
enum Edit {
    Flip {
        at: u16,
        bit: u8,
    },
    Set {
        at: u16,
        to: u8,
    },
    Insert {
        at: u16,
        bytes: Vec<u8>,
    },
    Word {
        at: u16,
        word: u8,
    },
    Cut {
        at: u16,
        len: u8,
    },
    Repeat {
        at: u16,
        len: u8,
        times: u8,
    },
    Splice {
        at: u16,
        seed: u8,
        from: u16,
        len: u8,
    },
    End {
        at: u16,
    },
}

/// How many edits are made. Mostly one: more leave little of the seed, and the parser's first line refuses it.
const EDITS: [usize; 8] = [0, 1, 1, 1, 1, 2, 3, 6];

impl Recipe {
    pub(crate) fn bytes<S: AsRef<[u8]>>(&self, seeds: &[S]) -> Vec<u8> {
        let mut bytes = pick(seeds, self.seed).to_vec();
        let count = EDITS[usize::from(self.count) % EDITS.len()];
        for edit in self.edits.iter().take(count) {
            edit.apply(&mut bytes, seeds);
        }
        bytes
    }

    pub(crate) fn text<S: AsRef<[u8]>>(&self, seeds: &[S]) -> String {
        String::from_utf8_lossy(&self.bytes(seeds)).into_owned()
    }
}

impl Edit {
    fn apply<S: AsRef<[u8]>>(&self, bytes: &mut Vec<u8>, seeds: &[S]) {
        match self {
            Self::Flip { at, bit } => change(bytes, *at, |byte| byte ^ (1 << (bit % 8))),
            Self::Set { at, to } => change(bytes, *at, |_| *to),
            Self::Insert { at, bytes: new } => insert(bytes, *at, new),
            Self::Word { at, word } => insert(bytes, *at, pick(&WORDS, *word)),
            Self::Cut { at, len } => drop(bytes.drain(piece(bytes.len(), *at, *len))),
            Self::Repeat { at, len, times } => {
                let again = bytes[piece(bytes.len(), *at, *len)].repeat(usize::from(*times));
                insert(bytes, *at, &again);
            }
            Self::Splice {
                at,
                seed,
                from,
                len,
            } => {
                let seed = pick(seeds, *seed);
                insert(bytes, *at, &seed[piece(seed.len(), *from, *len)]);
            }
            Self::End { at } => bytes.truncate(usize::from(*at) % (bytes.len() + 1)),
        }
    }
}

fn pick<S: AsRef<[u8]>>(from: &[S], which: u8) -> &[u8] {
    from[usize::from(which) % from.len()].as_ref()
}

fn change(bytes: &mut [u8], at: u16, how: impl Fn(u8) -> u8) {
    let len = bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(usize::from(at) % len) {
        *byte = how(*byte);
    }
}

fn insert(bytes: &mut Vec<u8>, at: u16, new: &[u8]) {
    let at = usize::from(at) % (bytes.len() + 1);
    bytes.splice(at..at, new.iter().copied());
}

fn piece(of: usize, at: u16, len: u8) -> std::ops::Range<usize> {
    let start = usize::from(at) % (of + 1);
    start..of.min(start + usize::from(len))
}
