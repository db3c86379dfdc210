//! The sessions of a real server's page, and the requests of other sites that it refuses.

mod support;

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::time::Duration;

use firesteel_punchcard::clock;
use firesteel_punchcard::store::Store;
use serde_json::json;
use support::browser::{OWN, get, location, post, post_with, sign_in};
use support::{Server, bearer, read_until};

#[test]
fn a_token_signs_in_and_the_cookie_is_for_this_server_alone() {
    let server = Server::start();
    let ada = server.user("ada");
    let answer = post(&server, "", "/sign-in", &format!("token={ada}&next=%2Ftokens"));
    assert_eq!((answer.status, location(&answer).as_str()), (303, "/tokens"));
    let cookie = answer.header("set-cookie").expect("a cookie");
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains(&ada), "{cookie}");
    let cookie = sign_in(&server, &ada);
    let page = get(&server, &cookie, "/jobs");
    assert_eq!(page.status, 200);
    assert!(
        page.text().contains("No jobs yet") && page.text().contains(">ada<"),
        "{}",
        page.text()
    );
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    assert_eq!(page.header("cache-control").as_deref(), Some("no-store"));
    // With a referrer policy of no-referrer, a browser sends forms with a null origin.
    assert_eq!(page.header("referrer-policy").as_deref(), Some("same-origin"));
}

#[test]
fn wrong_tokens_get_one_answer_and_no_cookie() {
    let server = Server::start();
    let ada = server.user("ada");
    let store = Store::open(&server.folder.path().join("data/punchcard.db")).expect("a store");
    let expired = store.new_token("ada", "", Some(clock::now() - 1)).expect("a token").token;
    let long = "a".repeat(5000);
    let mut texts = Vec::new();
    for token in ["", "fsp_guess", &long, &expired, &format!("{ada}x")] {
        let answer = post(&server, "", "/sign-in", &format!("token={token}"));
        assert_eq!((answer.status, answer.header("set-cookie")), (401, None), "{token}");
        texts.push(answer.text());
    }
    assert!(texts.iter().all(|text| text == &texts[0]));
    assert!(texts[0].contains("aria-invalid=\"true\" aria-describedby=\"token-error\""));
}

#[test]
fn a_page_without_a_session_leads_to_the_form_and_back() {
    let server = Server::start();
    let ada = server.user("ada");
    let answer = get(&server, "", "/jobs?state=FAILED");
    assert_eq!(answer.status, 303);
    assert_eq!(location(&answer), "/sign-in?next=%2Fjobs%3Fstate%3DFAILED");
    let form = get(&server, "", &location(&answer)).text();
    assert!(form.contains("name=\"next\" value=\"/jobs?state=FAILED\""), "{form}");
    // Only another site leads a browser here without the cookie of a session.
    let hint = "Continue without signing in again";
    assert!(!form.contains(hint), "{form}");
    let linked = get(&server, "Sec-Fetch-Site: cross-site\r\n", "/sign-in").text();
    assert!(linked.contains(hint), "{linked}");
    let away = post(&server, "", "/sign-in", &format!("token={ada}&next=%2F%2Fevil.example"));
    assert_eq!(location(&away), "/jobs");
    for cookie in ["Cookie: punchcard-session=guess\r\n", &bearer(&ada)] {
        assert_eq!(get(&server, cookie, "/jobs").status, 303, "{cookie}");
    }
}

#[test]
fn a_session_ends_when_the_user_signs_out_and_with_its_token() {
    let server = Server::start();
    let ada = server.user("ada");
    let (first, second) = (sign_in(&server, &ada), sign_in(&server, &ada));
    let answer = post(&server, &first, "/sign-out", "");
    assert_eq!((answer.status, location(&answer).as_str()), (303, "/sign-in"));
    assert!(answer.header("set-cookie").expect("a cookie").contains("Max-Age=0"));
    assert_eq!(get(&server, &first, "/jobs").status, 303);
    assert_eq!(get(&server, &second, "/jobs").status, 200);
    let tokens = server.get(&ada, "/api/v1/users/ada/tokens").json();
    let id = tokens["tokens"][0]["id"].as_str().expect("an id").to_owned();
    server.command(&["token", "revoke", "--identity", "ada", &id]);
    assert_eq!(get(&server, &second, "/jobs").status, 303);
    assert_eq!(get(&server, &second, "/api/v1/me").status, 401);
}

#[test]
fn a_stream_ends_with_the_token_of_its_session() {
    let server = Server::start();
    let ada = server.user("ada");
    let id = server.submit(&ada, "echo up; sleep 60", 0);
    server.wait(&ada, &id, &["RUNNING"]);
    let cookie = sign_in(&server, &ada);
    let tokens = server.get(&ada, "/api/v1/users/ada/tokens").json();
    let token = tokens["tokens"][0]["id"].as_str().expect("an id").to_owned();
    let mut stream = server.open(&format!("/api/v1/jobs/{id}/log/stream"), &cookie);
    read_until(&mut stream, "event: log");
    server.command(&["token", "revoke", "--identity", "ada", &token]);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("an end");
    assert!(!rest.contains("event: end"), "{rest}");
}

#[test]
fn streams_end_when_the_user_signs_out_and_those_of_other_sessions_go_on() {
    let server = Server::start();
    let ada = server.user("ada");
    let id = server.submit(&ada, "echo up; sleep 60", 0);
    server.wait(&ada, &id, &["RUNNING"]);
    let (first, second) = (sign_in(&server, &ada), sign_in(&server, &ada));
    let open = |headers: String, kind: &str| {
        let path = format!("/api/v1/jobs/{id}/{kind}/stream");
        let mut stream = server.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).expect("a write");
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while !line.starts_with("event: ") {
            line.clear();
            assert_ne!(reader.read_line(&mut line).expect("a line"), 0, "{path}");
        }
        reader
    };
    // A token that is sent counts, and the stream outlives the session beside it.
    let others = [open(second, "log"), open(format!("{first}{}", bearer(&ada)), "events")];
    let own = ["log", "events"].map(|kind| open(first.clone(), kind));
    assert_eq!(post(&server, &first, "/sign-out", "").status, 303);
    for mut stream in own {
        let mut rest = String::new();
        stream.read_to_string(&mut rest).expect("an end");
        assert!(!rest.contains("event: end"), "{rest}");
    }
    let pause = Duration::from_secs(1);
    for mut stream in others {
        stream.get_ref().set_read_timeout(Some(pause)).expect("a timeout");
        let mut rest = Vec::new();
        let error = stream.read_to_end(&mut rest).expect_err("an open stream");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn the_description_has_the_cookie_for_reading_alone() {
    let server = Server::start();
    let described = get(&server, "", "/api/v1/openapi.json").json();
    let scheme = &described["components"]["securitySchemes"]["session"];
    assert_eq!((&scheme["type"], &scheme["in"]), (&json!("apiKey"), &json!("cookie")), "{scheme}");
    let cookie = sign_in(&server, &server.user("ada"));
    assert!(cookie.contains(scheme["name"].as_str().expect("a name")), "{cookie} {scheme}");
    let mut reads = 0;
    for (path, operations) in described["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let schemes = operation["security"].to_string();
            let public = schemes == "[{}]";
            assert_eq!(schemes.contains("session"), method == "get" && !public, "{method} {path}");
            reads += usize::from(schemes.contains("session"));
        }
    }
    assert!(reads > 8, "{reads}");
}

#[test]
fn the_cookie_reads_the_interface_and_changes_nothing_there() {
    let server = Server::start();
    let ada = server.user("ada");
    let id = server.submit(&ada, "sleep 60", 0);
    let cookie = sign_in(&server, &ada);
    assert_eq!(get(&server, &cookie, "/api/v1/me").json()["name"], "ada");
    let elsewhere = format!("{cookie}Sec-Fetch-Site: same-site\r\n");
    assert_eq!(get(&server, &elsewhere, "/api/v1/me").status, 401);
    let headers = format!("{cookie}{OWN}Content-Type: application/json\r\n");
    for (method, path) in [
        ("POST", format!("/api/v1/jobs/{id}/cancel")),
        ("POST", format!("/api/v1/jobs/{id}/resubmit")),
        ("DELETE", format!("/api/v1/jobs/{id}")),
        ("POST", "/api/v1/users/ada/tokens".to_owned()),
        ("POST", "/api/v1/uploads".to_owned()),
    ] {
        assert_eq!(server.request(method, &path, &headers, b"{}").status, 401, "{method} {path}");
    }
    // A token that is sent counts, and a wrong one is not replaced by the session.
    let wrong = format!("{cookie}{}", bearer("fsp_guess"));
    assert_eq!(get(&server, &wrong, "/api/v1/me").status, 401);
    assert_eq!(server.job(&ada, &id)["cancel_requested"], false);
}

#[test]
fn forms_of_other_sites_are_refused_and_reading_changes_nothing() {
    let server = Server::start();
    let ada = server.user("ada");
    let id = server.submit(&ada, "sleep 60", 0);
    let cookie = sign_in(&server, &ada);
    let forms = [
        ("/sign-in".to_owned(), format!("token={ada}")),
        ("/sign-out".to_owned(), String::new()),
        (format!("/jobs/{id}/cancel"), String::new()),
        (format!("/jobs/{id}/resubmit"), "key=k".to_owned()),
        (format!("/jobs/{id}/delete"), String::new()),
        ("/tokens".to_owned(), "label=a".to_owned()),
        ("/tokens/0/revoke".to_owned(), String::new()),
    ];
    for headers in [
        "",
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: none\r\n",
        "Origin: http://localhost\r\nSec-Fetch-Site: cross-site\r\n",
    ] {
        for (path, body) in &forms {
            let answer = post_with(&server, &cookie, path, headers, body);
            assert_eq!(answer.status, 403, "{path} {headers}");
            assert_eq!(answer.header("set-cookie"), None, "{path} {headers}");
        }
    }
    for (path, _) in &forms {
        let answer = get(&server, &cookie, path);
        assert!([200, 405, 409].contains(&answer.status), "{path} {}", answer.status);
    }
    assert_eq!(server.job(&ada, &id)["cancel_requested"], false);
    let tokens = server.get(&ada, "/api/v1/users/ada/tokens").json();
    assert_eq!(tokens["tokens"].as_array().map(Vec::len), Some(1));
    assert_eq!(server.get(&ada, "/api/v1/jobs").json()["jobs"].as_array().map(Vec::len), Some(1));
    // Pages send forms, not bodies of other types.
    let headers = format!("{cookie}{OWN}Content-Type: text/plain\r\n");
    let path = format!("/jobs/{id}/cancel");
    assert_eq!(server.request("POST", &path, &headers, b"").status, 415);
}
