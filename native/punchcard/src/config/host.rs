//! The names under which clients reach the server.

use std::net::Ipv6Addr;

/// Checks an entry of `hosts`: a name or an address, without a scheme, a port or a path.
pub(super) fn check(host: &str) -> Result<(), String> {
    let without = without_extras(host);
    if without.is_empty() {
        return Err(format!("'{host}' is not a name; write one such as \"punchcard.example.org\""));
    }
    if without != host {
        return Err(format!(
            "'{host}' must be a name or an address alone, without a scheme, a port or a path; write \"{without}\""
        ));
    }
    Ok(())
}

/// Returns an entry without a scheme, a port and a path, and an IPv6 address in brackets.
fn without_extras(host: &str) -> String {
    let host = host.trim();
    let rest = host.split_once("://").map_or(host, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or("");
    if authority.parse::<Ipv6Addr>().is_ok() {
        return format!("[{authority}]");
    }
    without_port(authority).to_owned()
}

/// Returns a host without its port.
#[must_use]
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_name_has_no_scheme_no_port_and_no_path() {
        for host in ["punchcard.example.org", "localhost", "192.0.2.1", "[::1]"] {
            assert_eq!(check(host), Ok(()), "{host}");
        }
        for (host, instead) in [
            ("127.0.0.1:17443", "127.0.0.1"),
            ("https://localhost", "localhost"),
            ("https://punchcard.example.org:443/jobs", "punchcard.example.org"),
            ("localhost/", "localhost"),
            ("::1", "[::1]"),
            ("[::1]:80", "[::1]"),
            (" a ", "a"),
        ] {
            let problem = check(host).expect_err(host);
            assert!(problem.ends_with(&format!("write \"{instead}\"")), "{problem}");
        }
        for host in ["", "https://", ":80"] {
            check(host).expect_err(host);
        }
    }
}
