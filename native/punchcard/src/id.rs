//! Random names and secrets.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock;

/// Returns random bytes.
///
/// # Errors
/// When the operating system has none.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

/// Returns a new id: the time in milliseconds and 64 random bits, in hexadecimal digits. Ids sort by time.
///
/// # Errors
/// When the operating system has no random bytes.
pub fn new_id() -> std::io::Result<String> {
    let random = u64::from_le_bytes(random()?);
    Ok(format!("{:012x}{random:016x}", clock::now()))
}

/// Returns a new token: `fsp_` and 256 random bits in URL-safe base64.
///
/// # Errors
/// When the operating system has no random bytes.
pub fn new_token() -> std::io::Result<String> {
    Ok(format!("fsp_{}", new_secret()?))
}

/// Returns 256 random bits in URL-safe base64.
///
/// # Errors
/// When the operating system has no random bytes.
pub fn new_secret() -> std::io::Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// Returns true for the form of an id, which is also the name of a folder.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == 28
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Returns bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::{hex, is_id, new_id, new_token};

    #[test]
    fn an_id_has_the_form_of_an_id_and_no_path_has() {
        assert!(is_id(&new_id().expect("an id")));
        for text in ["", "..", "../../../../../etc/passwd000", "0192f0a0b0c0d0e0f0a0b0c0d0e/"] {
            assert!(!is_id(text), "{text}");
        }
    }

    #[test]
    fn a_token_has_forty_three_characters_after_its_prefix() {
        let token = new_token().expect("a token");
        assert_eq!(token.strip_prefix("fsp_").map(str::len), Some(43));
    }

    #[test]
    fn bytes_are_two_digits_each() {
        assert_eq!(hex(&[0, 15, 255]), "000fff");
    }
}
