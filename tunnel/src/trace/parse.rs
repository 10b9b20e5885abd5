//! Readers of `traceparent` (Trace Context, section 3.2) and `tracestate` (section 3.3).

use super::{SpanId, TraceContext, TraceId};

/// Bytes of all `tracestate` fields that are passed on: what the specification asks everyone to carry.
pub const MAX_TRACESTATE: usize = 512;
/// Entries of one (section 3.3.1.1).
const MAX_MEMBERS: usize = 32;

/// `00-` trace id `-` span id `-` flags; a higher version may say more behind it.
pub(super) fn traceparent(value: &[u8]) -> Option<TraceContext> {
    let (version, rest) = (hex::<1>(value.get(..2)?)?[0], value.get(2..)?);
    let rest = rest.strip_prefix(b"-")?;
    let (known, more) = rest.split_at_checked(REST)?;
    let fits = match version {
        0 => more.is_empty(),
        0xff => false,
        _ => more.is_empty() || more[0] == b'-',
    };
    if fits { unique_id(known) } else { None }
}

/// Bytes of trace id, span id and flags with the dashes between them.
const REST: usize = 32 + 1 + 16 + 1 + 2;

pub(super) fn unique_id(bytes: &[u8]) -> Option<TraceContext> {
    let mut parts = bytes.split(|byte| *byte == b'-');
    let trace = hex::<16>(parts.next()?)?;
    let span = hex::<8>(parts.next()?)?;
    let [flags] = hex::<1>(parts.next()?)?;
    let is_whole = parts.next().is_none() && trace != [0; 16] && span != [0; 8];
    is_whole.then_some(TraceContext {
        trace: TraceId(trace),
        span: SpanId(span),
        sampled: flags & 1 == 1,
    })
}

/// `N` bytes in lower-case hexadecimal, and nothing else.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

const fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The values of all `tracestate` fields as one list; none when they hold something that is no entry, or too much.
pub fn tracestate<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut list = String::new();
    let mut keys: Vec<&str> = Vec::new();
    for value in values {
        let value = std::str::from_utf8(value).ok()?;
        for member in value.split(',').map(trim).filter(|m| !m.is_empty()) {
            let (key, said) = member.split_once('=')?;
            if !is_key(key) || !is_value(said) || keys.contains(&key) || keys.len() == MAX_MEMBERS {
                return None;
            }
            keys.push(key);
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(member);
            if list.len() > MAX_TRACESTATE {
                return None;
            }
        }
    }
    (!list.is_empty()).then_some(list)
}

fn trim(member: &str) -> &str {
    member.trim_matches([' ', '\t'])
}

/// A name, or one of a tenant at a system: `name` or `tenant@system`.
fn is_key(key: &str) -> bool {
    let of_key = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/".contains(&b);
    let is_name =
        |name: &str, most: usize| (1..=most).contains(&name.len()) && name.bytes().all(of_key);
    let begins_with_letter = |name: &str| name.starts_with(|c: char| c.is_ascii_lowercase());
    match key.split_once('@') {
        None => is_name(key, 256) && begins_with_letter(key),
        Some((tenant, system)) => {
            is_name(tenant, 241) && is_name(system, 14) && begins_with_letter(system)
        }
    }
}

/// Printable, without `,` and `=`, and not ending in a space, which was trimmed already.
fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && value
            .bytes()
            .all(|b| (0x20..=0x7e).contains(&b) && b != b',' && b != b'=')
}
