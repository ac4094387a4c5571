//! Numbers in as few bytes as they need.
//!
//! Sequence numbers begin small and stay small for a long time; eight bytes each would be a tenth of a short message.
//! LEB128: seven bits a byte, lowest first, the top bit says that more follow.
//!
//! Invariant: every number has exactly one form. A longer one is refused, so that equal frames are equal bytes.
//!
//! Pure: no clock, no I/O, no tasks.

use bytes::BufMut;

use crate::error::WireError;

/// The most bytes that a number takes.
pub const SIZE_MAX: usize = 10;

/// How many bytes `value` takes.
#[must_use]
pub const fn size_of(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends `value`.
#[inline]
pub fn put(mut value: u64, out: &mut impl BufMut) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Takes a number from the front of `input`.
///
/// # Errors
/// [`WireError::Truncated`], [`WireError::BadNumber`]. `input` is then left anywhere.
#[inline]
pub fn take(input: &mut &[u8]) -> Result<u64, WireError> {
    let Some((&first, rest)) = input.split_first() else {
        return Err(WireError::Truncated);
    };
    if first < 0x80 {
        *input = rest;
        return Ok(u64::from(first));
    }
    take_long(input)
}

fn take_long(input: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0_u64;
    for index in 0..SIZE_MAX {
        let byte = *input.get(index).ok_or(WireError::Truncated)?;
        let bits = u64::from(byte & 0x7f);
        if index == SIZE_MAX - 1 && bits > 1 {
            return Err(WireError::BadNumber);
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            // A last byte of nothing but zeros adds nothing: there is a shorter form.
            if byte == 0 && index > 0 {
                return Err(WireError::BadNumber);
            }
            *input = &input[index + 1..];
            return Ok(value);
        }
    }
    Err(WireError::BadNumber)
}

/// Takes one byte from the front of `input`.
///
/// # Errors
/// [`WireError::Truncated`].
#[inline]
pub fn take_byte(input: &mut &[u8]) -> Result<u8, WireError> {
    let (&byte, rest) = input.split_first().ok_or(WireError::Truncated)?;
    *input = rest;
    Ok(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_comes_back_and_has_the_length_it_should() {
        let powers = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for value in powers.chain([u64::MAX]) {
            let mut bytes = Vec::new();
            put(value, &mut bytes);
            assert_eq!(bytes.len(), size_of(value), "{value}");
            let mut rest = &bytes[..];
            assert_eq!(take(&mut rest), Ok(value));
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn longer_forms_and_larger_numbers_are_refused() {
        assert_eq!(take(&mut &[0x80, 0x00][..]), Err(WireError::BadNumber));
        assert_eq!(take(&mut &[0xff; 11][..]), Err(WireError::BadNumber));
        let mut beyond = [0xff; 10];
        beyond[9] = 0x02;
        assert_eq!(take(&mut &beyond[..]), Err(WireError::BadNumber));
        assert_eq!(take(&mut &[0x80][..]), Err(WireError::Truncated));
        assert_eq!(take(&mut &[][..]), Err(WireError::Truncated));
    }
}
