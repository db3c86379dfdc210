//! Requests as a browser sends them.

#![allow(clippy::expect_used, reason = "tests may be blunt")]
#![allow(dead_code, reason = "each test file uses its own part of it")]

use super::{Answer, Server};

/// The headers of a form that a page of the server posts.
pub const OWN: &str = "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n";

/// Posts a form with a cookie and further headers.
pub fn post_with(server: &Server, cookie: &str, path: &str, headers: &str, body: &str) -> Answer {
    let headers = format!(
        "{cookie}Content-Type: application/x-www-form-urlencoded\r\nAccept: text/html\r\n{headers}"
    );
    server.request("POST", path, &headers, body.as_bytes())
}

/// Posts a form as a page of the server does.
pub fn post(server: &Server, cookie: &str, path: &str, body: &str) -> Answer {
    post_with(server, cookie, path, OWN, body)
}

/// Gets a page as a browser does.
pub fn get(server: &Server, cookie: &str, path: &str) -> Answer {
    server.request("GET", path, &format!("{cookie}Accept: text/html\r\n"), b"")
}

/// Signs in; returns the header with the cookie.
pub fn sign_in(server: &Server, token: &str) -> String {
    let answer = post(server, "", "/sign-in", &format!("token={token}&next=%2Fjobs"));
    assert_eq!(answer.status, 303, "{}", answer.text());
    let cookie = answer.header("set-cookie").expect("a cookie");
    format!("Cookie: {}\r\n", cookie.split(';').next().expect("a value"))
}

/// Adds an administrator; returns the token.
pub fn admin(server: &Server) -> String {
    server.command(&["user", "add", "root", "--admin"]);
    server.command(&["token", "new", "--identity", "root"])
}

/// Returns the path to which an answer leads.
pub fn location(answer: &Answer) -> String {
    answer.header("location").expect("a location")
}
