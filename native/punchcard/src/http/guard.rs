//! The checks of every request, and the headers of every answer.

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{App, Problem};
use crate::config::without_port;

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
    ),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Refuses requests under a foreign name, which a page of another site can send after it has made its own name resolve
/// to this machine (DNS rebinding), and requests that a page of another site sends.
pub async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = match check(&app, request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    response
}

fn check(app: &App, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    if !is_utf8(uri.path()) {
        return Err(Problem::malformed("the path must be UTF-8, encoded by '%'"));
    }
    let mut hosts = headers.get_all(HOST).iter().map(|value| value.to_str().unwrap_or("?"));
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Problem::malformed("the request has several Host headers; send one"));
    }
    let authority = uri.authority().map(axum::http::uri::Authority::as_str);
    if let Some(foreign) =
        [host, authority].into_iter().flatten().find(|name| !app.hosts().knows(name))
    {
        return Err(Problem::forbidden(format!(
            "the server is not known as '{name}'; add \"{name}\" to 'hosts' in its configuration",
            name = without_port(foreign)
        )));
    }
    let Some(host) = authority.or(host) else {
        return Err(Problem::malformed("the request has no Host header"));
    };
    match headers.get(ORIGIN) {
        None => Ok(()),
        Some(origin) if origin.to_str().is_ok_and(|origin| app.hosts().is_own(origin, host)) => {
            Ok(())
        }
        Some(_) => Err(Problem::forbidden("a page of another site may not send requests")),
    }
}

/// Returns true if the bytes that a path encodes are UTF-8.
fn is_utf8(path: &str) -> bool {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits
            .filter(|_| *first == b'%')
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// The names of a server.
#[derive(Clone, Debug)]
pub struct Hosts {
    names: Vec<String>,
    scheme: &'static str,
}

impl Hosts {
    /// Collects the names of a server that listens on an address.
    #[must_use]
    pub fn new(listen: std::net::SocketAddr, further: &[String], tls: bool) -> Self {
        let mut names = vec![match listen.ip() {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        }];
        if listen.ip().is_loopback() {
            names.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
        }
        names.extend(further.iter().map(|name| name.to_ascii_lowercase()));
        Self { names, scheme: if tls { "https" } else { "http" } }
    }

    /// Returns true for one of the names, with any port: the port depends on what is between the client and the server.
    #[must_use]
    pub fn knows(&self, host: &str) -> bool {
        let name = without_port(host);
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Returns true if clients reach the server by TLS.
    #[must_use]
    pub fn have_tls(&self) -> bool {
        self.scheme == "https"
    }

    fn is_own(&self, origin: &str, host: &str) -> bool {
        origin.eq_ignore_ascii_case(&format!("{}://{host}", self.scheme))
    }
}

#[cfg(test)]
mod tests {
    use super::{Hosts, is_utf8};

    #[test]
    fn a_path_encodes_text() {
        for path in ["/", "/%", "/%2", "/%zz", "/%c3%a4", "/a%2fb"] {
            assert!(is_utf8(path), "{path}");
        }
        for path in ["/%ff", "/%c3", "/%c0%ae", "/a%fe%ffb"] {
            assert!(!is_utf8(path), "{path}");
        }
    }

    #[test]
    fn a_server_knows_its_names_and_no_others() {
        let listen = "127.0.0.1:7438".parse().expect("an address");
        let hosts = Hosts::new(listen, &["Punchcard.Lab".to_owned()], true);
        for host in ["127.0.0.1:7438", "localhost", "LOCALHOST:1", "[::1]:80", "punchcard.lab:443"]
        {
            assert!(hosts.knows(host), "{host}");
        }
        for host in ["", "evil.example", "127.0.0.1.evil.example", "localhost:", "[::2]", ":80"] {
            assert!(!hosts.knows(host), "{host}");
        }
        assert!(hosts.is_own("https://localhost:7438", "localhost:7438"));
        for origin in ["null", "http://localhost:7438", "https://localhost", "https://evil.example"]
        {
            assert!(!hosts.is_own(origin, "localhost:7438"), "{origin}");
        }
    }
}
