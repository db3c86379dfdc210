//! The text of a log, which is read in parts.

/// Returns the number of bytes before a character in UTF-8 that the end of the bytes cuts off; all bytes if it cuts none.
#[must_use]
pub fn whole_characters(bytes: &[u8]) -> usize {
    let length = bytes.len();
    for (back, byte) in (1..).zip(bytes.iter().rev().take(3)) {
        let expected = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if expected > back { length - back } else { length };
    }
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::whole_characters;

    proptest! {
        #[test]
        fn text_that_is_cut_anywhere_is_whole_again(text in "\\PC{0,40}", at in 0_usize..200) {
            let bytes = text.as_bytes();
            let (first, _) = bytes.split_at(at.min(bytes.len()));
            let whole = whole_characters(first);
            prop_assert!(first.len() - whole < 4);
            prop_assert!(std::str::from_utf8(&first[..whole]).is_ok());
            prop_assert_eq!(whole_characters(bytes), bytes.len());
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_not_kept_back() {
        for bytes in [&b"a\xff"[..], b"\x80\x80\x80\x80", b"\xc3\xa4\x80", b""] {
            assert_eq!(whole_characters(bytes), bytes.len(), "{bytes:?}");
        }
        assert_eq!(whole_characters(b"a\xf0\x9f\x98"), 1);
    }
}
