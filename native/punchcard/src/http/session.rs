//! The cookie of the web page's sessions.

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderValue, ORIGIN};

use super::{App, Problem};

/// The time after which a session ends.
pub const LIFE_SECONDS: i64 = 12 * 60 * 60;
/// The longest secret.
const LONGEST: usize = 64;

/// Returns the cookie's name. Over TLS, its prefix keeps other names of the same domain from setting the cookie.
pub fn name(app: &App) -> &'static str {
    if app.hosts().have_tls() { "__Host-punchcard-session" } else { "punchcard-session" }
}

/// Returns the secret of the session that a request names.
pub fn secret(app: &App, headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let value = cookies.flat_map(|value| value.split(';')).find_map(|cookie| {
        let (key, value) = cookie.trim().split_once('=')?;
        (key == name(app)).then(|| value.to_owned())
    });
    value.filter(|value| (1..=LONGEST).contains(&value.len()))
}

/// Returns the header that sets the cookie, which scripts cannot read and other sites do not send.
///
/// # Errors
/// If the secret is not the value of a header.
pub fn set(app: &App, secret: &str, seconds: i64) -> Result<HeaderValue, Problem> {
    let secure = if app.hosts().have_tls() { "; Secure" } else { "" };
    let cookie = format!(
        "{}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}",
        name(app)
    );
    HeaderValue::from_str(&cookie).map_err(|error| Problem::internal(&error))
}

/// Returns true for a request that a page of this server sends, as far as the browser tells.
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        // Every request with the origin of another site was refused before.
        None => headers.contains_key(ORIGIN),
    }
}

/// Returns true for a request that another site sends, as far as the browser tells.
pub fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}
