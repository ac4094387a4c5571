//! Whether bytes are one well-formed MessagePack value, and not too deep.
//!
//! A decoder that follows the type believes the lengths it reads: serde reserves up to a mebibyte for each list
//! that claims to be long, and a type that contains itself is followed down until the stack ends (an enum is not
//! even counted by the limit of `rmp-serde`).
//! So the bytes are walked once, by a loop with 64 counters, before any type sees them.
//!
//! Invariant: after the walk every length is true: so many elements are really there, each of at least one byte.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::error::WireError;

/// How deep values may nest.
pub const DEPTH_MAX: usize = 64;

/// Measures the value at the front of `input`: its size in bytes.
///
/// # Errors
/// [`WireError::Truncated`], [`WireError::LengthBeyondInput`], [`WireError::TooDeep`], [`WireError::Reserved`].
pub fn measure(input: &[u8]) -> Result<usize, WireError> {
    let mut rest = input;
    // How many values are still to come at each depth; the value itself is one at depth 0.
    let mut open = [0_u64; DEPTH_MAX + 1];
    let mut depth = 0;
    open[0] = 1;
    loop {
        while open[depth] == 0 {
            if depth == 0 {
                return Ok(input.len() - rest.len());
            }
            depth -= 1;
        }
        open[depth] -= 1;
        let children = head(&mut rest)?;
        if children > 0 {
            if depth == DEPTH_MAX {
                return Err(WireError::TooDeep { max: DEPTH_MAX });
            }
            depth += 1;
            open[depth] = children;
        }
    }
}

/// Checks that `input` is one value and nothing else.
///
/// # Errors
/// As [`measure`], and [`WireError::TrailingBytes`].
pub fn check(input: &[u8]) -> Result<(), WireError> {
    match input.len() - measure(input)? {
        0 => Ok(()),
        excess_bytes => Err(WireError::TrailingBytes { excess_bytes }),
    }
}

/// Takes a marker and what belongs to it alone; says how many values follow as its children.
#[inline]
fn head(rest: &mut &[u8]) -> Result<u64, WireError> {
    let (&marker, after) = rest.split_first().ok_or(WireError::Truncated)?;
    *rest = after;
    match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Ok(0),
        0x80..=0x8f => children(rest, u64::from(marker & 0x0f), 2),
        0x90..=0x9f => children(rest, u64::from(marker & 0x0f), 1),
        0xa0..=0xbf => skip(rest, u64::from(marker & 0x1f)),
        0xc1 => Err(WireError::Reserved),
        0xc4 | 0xd9 => sized(rest, 1, 0),
        0xc5 | 0xda => sized(rest, 2, 0),
        0xc6 | 0xdb => sized(rest, 4, 0),
        // An extension has a byte for its type.
        0xc7 => sized(rest, 1, 1),
        0xc8 => sized(rest, 2, 1),
        0xc9 => sized(rest, 4, 1),
        0xca | 0xce | 0xd2 => skip(rest, 4),
        0xcb | 0xcf | 0xd3 => skip(rest, 8),
        0xcc | 0xd0 => skip(rest, 1),
        0xcd | 0xd1 => skip(rest, 2),
        0xd4..=0xd8 => skip(rest, 1 + (1 << (marker - 0xd4))),
        0xdc => number(rest, 2).and_then(|count| children(rest, count, 1)),
        0xdd => number(rest, 4).and_then(|count| children(rest, count, 1)),
        0xde => number(rest, 2).and_then(|count| children(rest, count, 2)),
        0xdf => number(rest, 4).and_then(|count| children(rest, count, 2)),
    }
}

fn children(rest: &[u8], count: u64, values_each: u64) -> Result<u64, WireError> {
    let values = count * values_each;
    if values > rest.len() as u64 {
        return Err(WireError::LengthBeyondInput { claimed: count, remaining_bytes: rest.len() });
    }
    Ok(values)
}

fn sized(rest: &mut &[u8], length_bytes: usize, extra_bytes: u64) -> Result<u64, WireError> {
    let length = number(rest, length_bytes)?;
    skip(rest, length + extra_bytes)
}

fn skip(rest: &mut &[u8], size_bytes: u64) -> Result<u64, WireError> {
    if size_bytes > rest.len() as u64 {
        let remaining_bytes = rest.len();
        return Err(WireError::LengthBeyondInput { claimed: size_bytes, remaining_bytes });
    }
    *rest = &rest[size_bytes as usize..];
    Ok(0)
}

/// A big-endian number of so many bytes.
fn number(rest: &mut &[u8], size_bytes: usize) -> Result<u64, WireError> {
    let (bytes, after) = rest.split_at_checked(size_bytes).ok_or(WireError::Truncated)?;
    *rest = after;
    Ok(bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> Vec<u8> {
        let mut bytes = vec![0x91; depth];
        bytes.push(0xc0);
        bytes
    }

    #[test]
    fn depth_is_counted_by_lists_and_maps() {
        assert_eq!(check(&nested(DEPTH_MAX)), Ok(()));
        assert_eq!(check(&nested(DEPTH_MAX + 1)), Err(WireError::TooDeep { max: DEPTH_MAX }));
        assert_eq!(check(&nested(1_000_000)), Err(WireError::TooDeep { max: DEPTH_MAX }));
    }

    #[test]
    fn lengths_are_checked_against_what_is_there() {
        let claims: [&[u8]; 6] = [
            &[0xdd, 0xff, 0xff, 0xff, 0xff, 0x00],
            &[0xdf, 0xff, 0xff, 0xff, 0xff, 0x00],
            &[0xdb, 0xff, 0xff, 0xff, 0xff, 0x00],
            &[0xc6, 0xff, 0xff, 0xff, 0xff, 0x00],
            &[0xc9, 0xff, 0xff, 0xff, 0xff, 0x00],
            &[0x92, 0x00],
        ];
        for claim in claims {
            let refused = check(claim);
            assert!(matches!(refused, Err(WireError::LengthBeyondInput { .. })), "{claim:x?}");
        }
    }

    #[test]
    fn every_marker_measures_as_the_reference_encoder_writes_it() {
        let values = [
            rmp_serde::to_vec_named(&(1_u8, -1_i8, 300_u16, -300_i16, 70_000_u32, -70_000_i32)),
            rmp_serde::to_vec_named(&(u64::MAX, i64::MIN, 1.5_f32, 2.5_f64, true, None::<u8>)),
            rmp_serde::to_vec_named(&("x".repeat(40), "y".repeat(300), "z".repeat(70_000), "")),
            rmp_serde::to_vec_named(&(0..100_000).collect::<Vec<u32>>()),
            rmp_serde::to_vec_named(&(0..20_u8).map(|k| (k, k)).collect::<Vec<_>>()),
        ];
        for value in values {
            let mut bytes = value.unwrap();
            assert_eq!(check(&bytes), Ok(()));
            bytes.push(0);
            assert_eq!(check(&bytes), Err(WireError::TrailingBytes { excess_bytes: 1 }));
            bytes.truncate(bytes.len() - 2);
            assert!(check(&bytes).is_err());
        }
        assert_eq!(check(&[0xd4, 1, 2]), Ok(()));
        assert_eq!(check(&[0xc7, 1, 9, 2]), Ok(()));
        assert_eq!(check(&[0xc1]), Err(WireError::Reserved));
        assert_eq!(check(&[]), Err(WireError::Truncated));
    }
}
