//! Streams of a real server: logs over attempts, and the ends of streams.

#![allow(clippy::expect_used, reason = "tests may be blunt")]

mod support;

use serde_json::{Value, json};
use support::{Server, bearer, read_until};

/// Returns the messages of a stream: the type, the id and the data of each.
fn messages(text: &str) -> Vec<(String, String, Value)> {
    let blocks = text.split("\n\n").filter(|block| block.contains("data: "));
    let message = |block: &str| {
        let value = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            line.unwrap_or("").to_owned()
        };
        let data = serde_json::from_str(&value("data")).expect("JSON");
        (value("event"), value("id"), data)
    };
    blocks.map(message).collect()
}

#[test]
fn the_log_of_an_attempt_is_streamed_to_its_end_before_that_of_the_next() {
    let server = Server::start();
    let ada = server.user("ada");
    let root = server.folder.path().display().to_string();
    // The first attempt writes more than a message holds and ends at once, so that the stream is behind it.
    let program = format!(
        "if [ ! -e {root}/again ]; then echo > {root}/again; while [ ! -e {root}/go ]; do sleep 0.05; done; \
         seq 30000; echo first; exit 1; fi; echo second"
    );
    let id = server.submit(&ada, &program, 1);
    server.wait(&ada, &id, &["RUNNING"]);
    let mut stream = server.open(&format!("/api/v1/jobs/{id}/log/stream"), &bearer(&ada));
    read_until(&mut stream, "submitted");
    std::fs::write(server.folder.path().join("go"), "").expect("a file");
    server.wait(&ada, &id, &["SUCCEEDED"]);
    let text = read_until(&mut stream, "event: end");
    let (first, second) = (text.find("30000\\nfirst"), text.find("second"));
    assert!(first.is_some() && first < second, "{first:?} {second:?}");

    // The ids of the messages have the attempt, from which another stream continues.
    let whole = server.get(&ada, &format!("/api/v1/jobs/{id}/log/stream?attempt=1"));
    let whole = messages(&whole.text());
    assert!(
        whole.len() > 3 && whole.iter().all(|(_, id, _)| id.is_empty() || id.starts_with("1:"))
    );
    let last = &whole[0].1;
    let headers = format!("{}Last-Event-ID: {last}\r\n", bearer(&ada));
    let path = format!("/api/v1/jobs/{id}/log/stream");
    let rest = messages(&server.request("GET", &path, &headers, b"").text());
    assert_eq!(rest[0].2["offset"].to_string(), last.trim_start_matches("1:"));
    assert_eq!(rest[0].2["attempt"], 1);
    let (kind, last, data) = &rest[rest.len() - 2];
    assert!(kind == "log" && last.starts_with("2:"), "{kind} {last}");
    assert!(data["text"].as_str().expect("text").contains("second"), "{data}");
    // Without a position, a stream begins at the present attempt.
    let present = messages(&server.get(&ada, &path).text());
    assert_eq!(present[0].2["attempt"], 2);
}

#[test]
fn characters_are_not_cut_where_the_parts_of_a_log_meet() {
    let server = Server::start();
    let ada = server.user("ada");
    // The head of the log shifts where characters of three bytes meet the ends of parts.
    let id = server.submit(&ada, "for i in $(seq 3000); do printf '%s' 'äöü€€€€€€€😀'; done", 0);
    server.wait(&ada, &id, &["SUCCEEDED"]);
    let stream = messages(&server.get(&ada, &format!("/api/v1/jobs/{id}/log/stream")).text());
    assert!(stream.len() > 2, "{}", stream.len());
    let text: String = stream.iter().filter_map(|(_, _, data)| data["text"].as_str()).collect();
    assert_eq!(text.matches("äöü€€€€€€€😀").count(), 3000);
    assert!(!text.contains('\u{fffd}'));
}

#[test]
fn a_stream_ends_when_its_token_is_revoked() {
    let server = Server::start();
    let ada = server.user("ada");
    let id = server.submit(&ada, "echo up; sleep 60", 0);
    server.wait(&ada, &id, &["RUNNING"]);
    let token = server.get(&ada, "/api/v1/users/ada/tokens").json()["tokens"][0]["id"].clone();
    let mut streams = ["log", "events"].map(|name| {
        let path = format!("/api/v1/jobs/{id}/{name}/stream");
        let mut stream = server.open(&path, &bearer(&ada));
        read_until(&mut stream, "data: ");
        stream
    });
    server.command(&["token", "revoke", "--identity", "ada", token.as_str().expect("an id")]);
    for stream in &mut streams {
        let mut rest = String::new();
        std::io::Read::read_to_string(stream, &mut rest).expect("an end");
        assert!(!rest.contains("event: end"), "{rest}");
    }
}

#[test]
fn a_user_has_a_number_of_streams_open() {
    let server = Server::with("[limits]\nuser_streams = 2\n");
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let path_of = |token: &str| {
        let id = server.submit(token, "echo up; sleep 60", 0);
        server.wait(token, &id, &["RUNNING"]);
        format!("/api/v1/jobs/{id}/events/stream")
    };
    let (path, other) = (path_of(&ada), path_of(&bob));
    let open = |path: &str, token: &str| {
        let mut stream = server.open(path, &bearer(token));
        read_until(&mut stream, "data: ");
        stream
    };
    let _streams = [open(&path, &ada), open(&path, &ada)];
    let third = server.get(&ada, &path);
    assert_eq!((third.status, &third.json()["code"]), (429, &json!("quota_exceeded")));
    open(&other, &bob);
}
