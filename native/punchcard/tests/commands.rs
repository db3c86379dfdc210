//! The users and tokens of a real server: their commands and their bounds.

#![allow(clippy::expect_used, reason = "tests may be blunt")]

mod support;

use std::fs;
use std::process::{Command, Output};

use serde_json::json;
use support::{BINARY, Server, bearer};

fn run(server: &Server, arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .arg("--config")
        .arg(server.folder.path().join("punchcard.toml"))
        .output()
        .expect("a process")
}

/// Runs a command that must fail; returns its errors.
fn fails(server: &Server, arguments: &[&str]) -> String {
    let output = run(server, arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn a_user_without_jobs_and_uploads_is_removed_with_the_tokens() {
    let server = Server::start();
    let ada = server.user("ada");
    let upload = server.upload(&ada, "true");
    let error = fails(&server, &["user", "remove", "ada"]);
    assert!(error.contains("the user 'ada' has 0 jobs and 1 uploads; delete them"), "{error}");
    assert_eq!(server.get(&ada, "/api/v1/me").status, 200);
    let path = format!("/api/v1/uploads/{upload}");
    assert_eq!(server.request("DELETE", &path, &bearer(&ada), b"").status, 204);
    assert_eq!(server.command(&["user", "remove", "ada"]), "");
    assert_eq!(server.get(&ada, "/api/v1/me").status, 401);
    assert_eq!(server.command(&["user", "list"]), "");
    let error = fails(&server, &["user", "remove", "ada"]);
    assert!(error.contains("there is no user 'ada'; list them with 'user list'"), "{error}");
}

#[test]
fn the_life_of_a_token_is_from_one_day_to_ten_years() {
    let server = Server::start();
    let new = ["token", "new", "--identity", "ada", "--expires-days"];
    for days in ["0", "3651", "-1", "4294967295"] {
        let error = fails(&server, &[&new[..], &[days]].concat());
        assert!(error.contains("--expires-days") || error.contains("'-1'"), "{error}");
    }
    for days in ["1", "3650"] {
        let token = server.command(&[&new[..], &[days]].concat());
        assert_eq!(server.get(&token, "/api/v1/me").status, 200, "{days}");
    }
}

#[test]
fn a_token_that_is_made_with_another_ends_with_it() {
    let server = Server::start();
    let new = ["token", "new", "--identity", "ada"];
    let short = server.command(&[&new[..], &["--expires-days", "2"]].concat());
    let path = "/api/v1/users/ada/tokens";
    let tokens = server.get(&short, path).json();
    let (parent, latest) = (&tokens["tokens"][0]["id"], &tokens["tokens"][0]["expires_at"]);
    assert_eq!(tokens["tokens"][0]["parent"], json!(null));
    for body in [json!({}), json!({"expires_days": 3650})] {
        let made = server.post(&short, path, &body);
        assert_eq!((made.status, &made.json()["expires_at"]), (201, latest), "{body}");
        let token = made.json()["token"].as_str().expect("a token").to_owned();
        assert_eq!(&server.get(&token, path).json()["tokens"][0]["parent"], parent);
        // A token of the command line depends on no other.
        let other = server.command(&new);
        assert_eq!(server.get(&token, "/api/v1/me").status, 200);
        if body != json!({}) {
            let id = parent.as_str().expect("an id");
            server.command(&["token", "revoke", "--identity", "ada", id]);
            assert_eq!(server.get(&token, "/api/v1/me").status, 401);
            assert_eq!(server.get(&other, "/api/v1/me").status, 200);
        }
    }
}

#[test]
fn a_user_makes_a_bounded_number_of_tokens() {
    let server = Server::start();
    let ada = server.user("ada");
    let path = "/api/v1/users/ada/tokens";
    for _ in 0..99 {
        assert_eq!(server.post(&ada, path, &json!({})).status, 201);
    }
    let full = server.post(&ada, path, &json!({}));
    assert_eq!((full.status, &full.json()["code"]), (429, &json!("quota_exceeded")));
}

#[test]
fn what_the_jobs_of_a_user_take_is_bounded() {
    let server = Server::with("[quotas]\nkept = 2\nrunning = 0\n");
    let ada = server.user("ada");
    let file = server.upload(&ada, "true");
    let submit = |arguments: &[String]| {
        let work = json!({"kind": "program", "file": file, "arguments": arguments});
        server.post(&ada, "/api/v1/jobs", &json!({"name": "n", "work": work}))
    };
    let long = submit(&vec!["a".repeat(4000); 17]);
    assert_eq!((long.status, &long.json()["code"]), (413, &json!("too_large")));
    assert_eq!(submit(&vec!["a".repeat(4000); 15]).status, 202);
    let answer = submit(&[]);
    assert_eq!(answer.status, 202);
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    server.post(&ada, &format!("/api/v1/jobs/{id}/cancel"), &json!({}));
    server.wait(&ada, &id, &["CANCELLED"]);
    let full = submit(&[]);
    assert_eq!((full.status, &full.json()["code"]), (429, &json!("quota_exceeded")));
    let text = full.text();
    assert!(text.contains("you have 2 jobs") && text.contains("delete some"), "{text}");
    assert_eq!(server.get(&ada, "/api/v1/me").json()["usage"]["kept"], 2);
    let path = format!("/api/v1/jobs/{id}");
    assert_eq!(server.request("DELETE", &path, &bearer(&ada), b"").status, 204);
    assert_eq!(submit(&[]).status, 202);
}

#[test]
fn an_address_in_use_is_told_with_what_to_do() {
    let server = Server::start();
    let folder = server.folder.path();
    let text = fs::read_to_string(folder.join("punchcard.toml")).expect("a file");
    let port = format!("127.0.0.1:{}", server.port);
    let text = text.replace("127.0.0.1:0", &port).replace("'data'", "'other'");
    fs::write(folder.join("other.toml"), text).expect("a file");
    let output = Command::new(BINARY)
        .args(["serve", "--config"])
        .arg(folder.join("other.toml"))
        .output()
        .expect("a process");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("end the program that uses it, or choose another port"), "{error}");
}

#[test]
fn a_token_that_gives_no_access_is_told_from_none() {
    let server = Server::start();
    let ada = server.user("ada");
    let detail = |headers: &str| {
        let answer = server.request("GET", "/api/v1/me", headers, b"");
        assert_eq!(answer.status, 401, "{headers}");
        answer.json()["detail"].as_str().expect("a detail").to_owned()
    };
    let none = "a token is needed: send the header 'Authorization: Bearer TOKEN'";
    assert_eq!(detail(""), none);
    assert_eq!(detail("Authorization: Basic YTpi\r\n"), none);
    let wrong =
        "the token is unknown, expired or revoked; check it, or ask an administrator for a new one";
    assert_eq!(detail(&bearer("fsp_guess")), wrong);
    let id = server.get(&ada, "/api/v1/users/ada/tokens").json()["tokens"][0]["id"].clone();
    server.command(&["token", "revoke", "--identity", "ada", id.as_str().expect("an id")]);
    assert_eq!(detail(&bearer(&ada)), wrong);
}
