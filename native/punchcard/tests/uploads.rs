//! Uploads to a real server: their quota, their rate, and what is left of them.

#![allow(clippy::expect_used, reason = "tests may be blunt")]

mod support;

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Answer, Server, bearer, read_answer};

/// Sends the head of an upload, and none of its bytes.
fn begin(server: &Server, token: &str, bytes: usize, headers: &str) -> TcpStream {
    let mut stream = server.connect();
    let head = format!(
        "POST /api/v1/uploads HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {bytes}\r\n\
         {}{headers}\r\n",
        bearer(token)
    );
    stream.write_all(head.as_bytes()).expect("a write");
    stream
}

fn incoming(server: &Server) -> usize {
    fs::read_dir(server.folder.path().join("data/incoming")).expect("a folder").count()
}

/// Waits until as many uploads arrive.
fn wait_for_incoming(server: &Server, count: usize) {
    let end = Instant::now() + Duration::from_secs(30);
    while incoming(server) != count {
        assert!(Instant::now() < end, "{} uploads arrive", incoming(server));
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_quota(answer: &Answer) -> bool {
    answer.status == 429 && answer.json()["code"] == "quota_exceeded"
}

#[test]
fn a_quota_is_checked_before_the_bytes_arrive_and_counts_those_that_do() {
    let server = Server::with("[quotas]\nupload_bytes = 1000\n");
    let ada = server.user("ada");
    let send = |body: &[u8], headers: &str| {
        let headers = format!("{}{headers}", bearer(&ada));
        server.request("POST", "/api/v1/uploads", &headers, body)
    };
    assert_eq!(send(&[0; 600], "").status, 201);
    assert!(is_quota(&read_answer(begin(&server, &ada, 500, ""))));
    let first = begin(&server, &ada, 300, "");
    wait_for_incoming(&server, 1);
    assert!(is_quota(&read_answer(begin(&server, &ada, 200, ""))));
    // An upload that breaks gives its room back.
    drop(first);
    wait_for_incoming(&server, 0);
    assert_eq!(send(&[1; 300], "").status, 201);
    // The same bytes again need no room, and are not stored.
    let hash = "X-Firesteel-Sha256: ";
    let known = send(&[0; 600], "").json();
    assert_eq!(known["code"], "quota_exceeded");
    let sha256 = {
        use sha2::Digest as _;
        let bytes = sha2::Sha256::digest([0; 600]);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(send(&[0; 600], &format!("{hash}{sha256}\r\n")).status, 200);
    let wrong = send(&[2; 600], &format!("{hash}{sha256}\r\n"));
    assert_eq!((wrong.status, &wrong.json()["field"]), (422, &json!("X-Firesteel-Sha256")));
}

#[test]
fn a_user_has_a_number_of_uploads_that_arrive_at_a_time() {
    let server = Server::with("[limits]\nuser_uploads = 2\n");
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let _uploads = [begin(&server, &ada, 10, ""), begin(&server, &ada, 10, "")];
    wait_for_incoming(&server, 2);
    assert!(is_quota(&read_answer(begin(&server, &ada, 10, ""))));
    let mut other = begin(&server, &bob, 2, "");
    other.write_all(b"ab").expect("a write");
    assert_eq!(read_answer(other).status, 201);
}

#[test]
fn an_upload_that_drips_is_ended() {
    let server = Server::with("[limits]\nstall_seconds = 1\nupload_rate = 1000000\n");
    let ada = server.user("ada");
    let start = Instant::now();
    let mut stream = begin(&server, &ada, 1000, "");
    // No byte is late, but all are too few.
    let mut other = stream.try_clone().expect("a stream");
    let drip = std::thread::spawn(move || {
        while other.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let answer = read_answer(&mut stream);
    assert_eq!((answer.status, &answer.json()["code"]), (408, &json!("timeout")));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let _ = stream.shutdown(std::net::Shutdown::Both);
    drip.join().expect("the end of the drip");
    assert_eq!(incoming(&server), 0);
}

#[test]
fn what_a_killed_server_was_receiving_is_removed_at_the_next_start() {
    let mut server = Server::start();
    let ada = server.user("ada");
    let _upload = begin(&server, &ada, 10, "");
    wait_for_incoming(&server, 1);
    server.kill();
    assert_eq!(incoming(&server), 1);
    server.restart();
    assert_eq!(incoming(&server), 0);
}
