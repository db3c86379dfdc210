//! Requests that a server must refuse, and loads that it must bear.

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{BINARY, Server, bearer, read_answer};

#[test]
fn every_path_but_four_needs_a_token() {
    let server = Server::start();
    let openapi = server.request("GET", "/api/v1/openapi.json", "", b"").json();
    let mut refused = 0;
    for (path, methods) in openapi["paths"].as_object().expect("paths") {
        let open =
            ["/healthz", "/readyz", "/metrics", "/api/v1/openapi.json"].contains(&path.as_str());
        let path = path.replace("{id}", &"0".repeat(28)).replace("{name}", "ada");
        for method in methods.as_object().expect("methods").keys() {
            let method = method.to_ascii_uppercase();
            for headers in
                ["", &bearer("fsp_guess"), "Authorization: Basic YTpi\r\n", "Cookie: token=a\r\n"]
            {
                let answer = server.request(&method, &path, headers, b"");
                assert_eq!(
                    answer.status,
                    if open { 200 } else { 401 },
                    "{method} {path} {headers}"
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 60, "{refused}");
}

#[test]
fn a_user_sees_and_handles_own_jobs_only() {
    let server = Server::start();
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    server.command(&["user", "add", "root", "--admin"]);
    let root = server.command(&["token", "new", "--identity", "root"]);
    let id = server.submit(&ada, "echo secret > \"$FIRESTEEL_PUNCHCARD_RESULTS/a.txt\"", 0);
    server.wait(&ada, &id, &["SUCCEEDED"]);
    let paths =
        ["", "/log", "/log/stream", "/events", "/events/stream", "/artifacts", "/artifacts/a.txt"];
    for path in paths {
        let path = format!("/api/v1/jobs/{id}{path}");
        assert_eq!(server.get(&bob, &path).status, 404, "{path}");
        assert_eq!(server.get(&root, &path).status, 200, "{path}");
    }
    for path in ["cancel", "resubmit"] {
        assert_eq!(server.post(&bob, &format!("/api/v1/jobs/{id}/{path}"), &json!({})).status, 404);
    }
    assert_eq!(server.get(&bob, "/api/v1/jobs").json()["jobs"], json!([]));
    assert_eq!(server.get(&bob, "/api/v1/jobs?user=ada").status, 403);
    assert_eq!(server.get(&root, "/api/v1/jobs").json()["jobs"][0]["id"], id.as_str());
    // A user cannot refer to the uploads of others.
    let file = server.upload(&ada, "true");
    let body = json!({"name": "n", "work": {"kind": "program", "file": file}});
    let answer = server.post(&bob, "/api/v1/jobs", &body);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("work.file: you have no upload"), "{}", answer.text());
    for path in ["/api/v1/users", "/api/v1/users/ada"] {
        assert_eq!(server.get(&bob, path).status, 403, "{path}");
    }
    assert_eq!(server.post(&bob, "/api/v1/users/ada/tokens", &json!({})).status, 403);
    assert_eq!(
        server.post(&root, "/api/v1/users/ada/tokens", &json!({"expires_days": 1})).status,
        201
    );
}

#[test]
fn a_revoked_token_is_refused_at_once() {
    let server = Server::start();
    let ada = server.user("ada");
    assert_eq!(server.get(&ada, "/api/v1/me").status, 200);
    let tokens = server.get(&ada, "/api/v1/users/ada/tokens").json();
    let id = tokens["tokens"][0]["id"].as_str().expect("an id").to_owned();
    server.command(&["token", "revoke", "--identity", "ada", &id]);
    assert_eq!(server.get(&ada, "/api/v1/me").status, 401);
}

#[test]
fn pages_of_other_sites_and_foreign_names_are_refused() {
    let server = Server::start();
    let ada = server.user("ada");
    let send = |headers: &str| {
        server.request("GET", "/api/v1/me", &format!("{}{headers}", bearer(&ada)), b"").status
    };
    assert_eq!(send(""), 200);
    assert_eq!(send("Host: evil.example\r\n"), 403);
    let foreign = server.request("GET", "/api/v1/me", "Host: evil.example:1\r\n", b"");
    let detail = "not known as 'evil.example'; add \\\"evil.example\\\" to 'hosts'";
    assert!(foreign.text().contains(detail), "{}", foreign.text());
    assert_eq!(send("Origin: http://evil.example\r\n"), 403);
    assert_eq!(send("Origin: null\r\n"), 403);
    assert_eq!(send("Origin: http://localhost\r\n"), 200);
    // A form of another site cannot send JSON.
    let headers = format!("{}Content-Type: text/plain\r\n", bearer(&ada));
    assert_eq!(server.request("POST", "/api/v1/jobs", &headers, b"{}").status, 415);
}

#[test]
fn a_request_that_does_not_fit_is_refused_with_the_field() {
    let server = Server::start();
    let ada = server.user("ada");
    let file = server.upload(&ada, "true");
    let program = json!({"kind": "program", "file": file});
    let estimator = |path: &str, options: Value| {
        json!({"kind": "estimator", "estimator": "NetworkClassifier", "params": {}, "network": file,
               "data": {"path": path, "options": options}})
    };
    let cases = [
        (json!({"name": "", "work": program}), "name"),
        (json!({"name": "n\u{0}", "work": program}), "name"),
        (json!({"name": "n", "work": program, "misspelt": 1}), "misspelt"),
        (json!({"name": "n", "work": program, "executors": 0}), "executors"),
        (json!({"name": "n", "work": program, "memory": "2gb --conf x=y"}), "memory"),
        (json!({"name": "n", "work": program, "retries": 1000}), "retries"),
        (json!({"name": "n", "work": program, "cluster": "other"}), "cluster"),
        (
            json!({"name": "n", "work": program, "conf": {"spark.driver.extraJavaOptions": "-X"}}),
            "conf",
        ),
        // Kyuubi's allow list was passed by keys without the prefix.
        (json!({"name": "n", "work": program, "conf": {"sql.shuffle.partitions": "1"}}), "conf"),
        (
            json!({"name": "n", "work": program, "conf": {"spark.sql.shuffle.partitions": "1\nx"}}),
            "conf",
        ),
        (
            json!({"name": "n", "work": {"kind": "program", "file": "../../etc/passwd"}}),
            "work.file",
        ),
        (
            json!({"name": "n", "work": {"kind": "program", "file": file, "files": {"../x": file}}}),
            "work.files",
        ),
        (
            json!({"name": "n", "work": {"kind": "program", "file": file, "main_class": "a b"}}),
            "main_class",
        ),
        (json!({"name": "n", "work": estimator("file:/etc/passwd", json!({}))}), "work.data.path"),
        (
            json!({"name": "n", "work": estimator("file:/srv/data/../x", json!({}))}),
            "work.data.path",
        ),
        (
            json!({"name": "n", "work": estimator("file:/srv/data/{..,a}/x", json!({}))}),
            "work.data.path",
        ),
        (
            json!({"name": "n", "work": estimator("file:/srv/data/%2e%2e/x", json!({}))}),
            "work.data.path",
        ),
        (
            json!({"name": "n", "work": estimator("file:/srv/data/x", json!({"path": "/etc"}))}),
            "options",
        ),
        (json!({"name": "n", "work": estimator("file:/srv/data/x", json!({}))}), "work.network"),
        (
            json!({"name": "n", "work": {"kind": "estimator", "estimator": "NetworkClassifier",
                   "params": {"epoch": 1}, "network": file, "data": {"path": "file:/srv/data/x"}}}),
            "work.params.epoch",
        ),
        (
            json!({"name": "n", "work": {"kind": "trainer", "network": file,
                   "trainer": {"class": "ADAG", "arguments": {"num_epoch": 0}},
                   "data": {"path": "file:/srv/data/x"}}}),
            "work.trainer.arguments.num_epoch",
        ),
    ];
    for (body, field) in cases {
        let answer = server.post(&ada, "/api/v1/jobs", &body);
        let problem = answer.json();
        assert_eq!((answer.status, &problem["code"]), (422, &json!("invalid")), "{body} {problem}");
        assert!(problem["field"].as_str().expect("a field").contains(field), "{body} {problem}");
        assert!(problem["detail"].as_str().expect("a detail").contains(field), "{body} {problem}");
    }
    server.command(&["user", "set", "ada", "--programs", "false"]);
    let answer = server.post(&ada, "/api/v1/jobs", &json!({"name": "n", "work": program}));
    assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("forbidden")));
    assert!(answer.text().contains("you may not run programs"), "{}", answer.text());
    assert_eq!(server.get(&ada, "/api/v1/jobs").json()["jobs"], json!([]));
}

#[test]
fn uploads_are_bounded_checked_and_named_by_the_server() {
    let server = Server::with("[quotas]\nupload_bytes = 1000\n");
    let ada = server.user("ada");
    let send = |headers: &str, body: &[u8]| {
        server.request("POST", "/api/v1/uploads", &format!("{}{headers}", bearer(&ada)), body)
    };
    let good = send("X-Firesteel-Filename: ../../../etc/cron.d/a.py\r\n", b"true");
    assert_eq!(good.status, 201);
    let id = good.json()["id"].as_str().expect("an id").to_owned();
    assert!(server.folder.path().join(format!("data/uploads/{id}.py")).exists());
    let same = send("X-Firesteel-Filename: b.py\r\n", b"true");
    assert_eq!((same.status, &same.json()["id"]), (200, &json!(id)));
    assert_eq!(send("X-Firesteel-Filename: a.sh\r\n", b"true").status, 422);
    let wrong = format!("X-Firesteel-Sha256: {}\r\n", "0".repeat(64));
    assert_eq!(send(&wrong, b"true").status, 422);
    assert_eq!(send("", &[0; 1001]).status, 413);
    assert_eq!(send("", &[0; 500]).status, 201);
    let full = send("", &[1; 500]);
    assert_eq!((full.status, &full.json()["code"]), (429, &json!("quota_exceeded")));
    assert_eq!(
        fs::read_dir(server.folder.path().join("data/incoming")).expect("a folder").count(),
        0
    );
    let path = format!("/api/v1/uploads/{id}");
    assert_eq!(server.request("DELETE", &path, &bearer(&server.user("bob")), b"").status, 404);
    assert_eq!(server.request("DELETE", &path, &bearer(&ada), b"").status, 204);
    assert!(!server.folder.path().join(format!("data/uploads/{id}.py")).exists());
}

#[test]
fn artefacts_are_given_whole_or_in_part_and_nothing_else_is() {
    let server = Server::start();
    let ada = server.user("ada");
    let program = "cd \"$FIRESTEEL_PUNCHCARD_RESULTS\"; printf 0123456789 > a.bin; ln -s /etc/passwd link; mkdir d; \
                   echo x > .hidden; echo x > d/e";
    let id = server.submit(&ada, program, 0);
    server.wait(&ada, &id, &["SUCCEEDED"]);
    let base = format!("/api/v1/jobs/{id}/artifacts");
    let listed = server.get(&ada, &base).json();
    assert_eq!(listed["artifacts"].as_array().expect("a list").len(), 1);
    assert_eq!(
        (&listed["artifacts"][0]["name"], &listed["artifacts"][0]["size"]),
        (&json!("a.bin"), &json!(10))
    );
    let whole = server.get(&ada, &format!("{base}/a.bin"));
    assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"));
    let part = |range: &str| {
        let headers = format!("{}Range: {range}\r\n", bearer(&ada));
        server.request("GET", &format!("{base}/a.bin"), &headers, b"")
    };
    let answer = part("bytes=3-5");
    assert_eq!((answer.status, answer.text().as_str()), (206, "345"));
    assert_eq!(answer.header("content-range").as_deref(), Some("bytes 3-5/10"));
    assert_eq!(part("bytes=10-").status, 416);
    let names = [
        "link",
        ".hidden",
        "d",
        "d%2Fe",
        "..",
        "..%2Frequest.json",
        "..%2F..%2F..%2F..%2Fpunchcard.db",
        "%00",
        "%2Fetc%2Fpasswd",
        "....//request.json",
    ];
    for name in names {
        let answer = server.get(&ada, &format!("{base}/{name}"));
        assert!([400, 404].contains(&answer.status), "{name}: {}", answer.status);
    }
}

#[test]
fn slow_and_oversized_requests_are_ended() {
    let server =
        Server::with("[limits]\nheader_seconds = 1\nstall_seconds = 1\nbody_bytes = 1000\n");
    let ada = server.user("ada");
    let start = Instant::now();
    let mut silent = server.connect();
    let mut dripping = server.connect();
    let mut stalled = server.connect();
    let head = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900\r\n{}\r\n{{",
        bearer(&ada)
    );
    stalled.write_all(head.as_bytes()).expect("a write");
    for _ in 0..30 {
        // The server closes in the middle of the drip.
        if dripping.write_all(b"G").is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(read_answer(&mut stalled).status, 408);
    let mut bytes = Vec::new();
    let _ = silent.read_to_end(&mut bytes);
    let _ = dripping.read_to_end(&mut bytes);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let headers = format!("{}Content-Type: application/json\r\n", bearer(&ada));
    assert_eq!(server.request("POST", "/api/v1/jobs", &headers, &[b' '; 2000]).status, 413);
    let long = format!("X-Long: {}\r\n", "a".repeat(1 << 20));
    let mut stream = server.connect();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{long}\r\n");
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(server.request("GET", "/healthz", "", b"").status, 200);
}

#[test]
fn a_hundred_clients_at_once_each_get_their_job() {
    let server = Arc::new(Server::with("[quotas]\nqueued = 1000\n"));
    let ada = server.user("ada");
    let file = server.upload(&ada, "true");
    let clients: Vec<_> = (0..100)
        .map(|number| {
            let (server, ada, file) = (Arc::clone(&server), ada.clone(), file.clone());
            thread::spawn(move || {
                let body = json!({"name": format!("n{number}"), "work": {"kind": "program", "file": file}});
                let answer = server.post(&ada, "/api/v1/jobs", &body);
                assert_eq!(answer.status, 202, "{}", answer.text());
                let id = answer.json()["id"].as_str().expect("an id").to_owned();
                // What was written is read.
                assert_eq!(server.job(&ada, &id)["name"], format!("n{number}"));
                let answer = server.post(&ada, &format!("/api/v1/jobs/{id}/cancel"), &json!({}));
                assert!([200, 202].contains(&answer.status));
                server.wait(&ada, &id, &["CANCELLED", "SUCCEEDED"]);
            })
        })
        .collect();
    for client in clients {
        client.join().expect("a client");
    }
    let metrics = server.request("GET", "/metrics", "", b"").text();
    assert!(metrics.contains("punchcard_jobs{state=\"RUNNING\"} 0"), "{metrics}");
}

#[test]
fn a_server_does_not_listen_beyond_loopback_without_tls() {
    let server = Server::start();
    let file = server.folder.path().join("punchcard.toml");
    let text = fs::read_to_string(&file).expect("a file").replace("127.0.0.1:0", "0.0.0.0:0");
    fs::write(&file, text).expect("a file");
    let output =
        Command::new(BINARY).arg("serve").arg("--config").arg(&file).output().expect("a process");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(error.contains("set [tls], or listen on 127.0.0.1"), "{error}");
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let server = Server::start();
    let file = server.folder.path().join("punchcard.toml");
    let output =
        Command::new(BINARY).arg("serve").arg("--config").arg(&file).output().expect("a process");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("another server uses the folder"), "{error}");
}

#[test]
fn the_interface_is_spoken_over_tls() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let server = Server::prepared("tls = { certificate = 'cert.pem', key = 'key.pem' }", |root| {
        fs::write(root.join("cert.pem"), made.cert.pem()).expect("a file");
        fs::write(root.join("key.pem"), made.signing_key.serialize_pem()).expect("a file");
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let config = Arc::new(config);
    let connect =
        || rustls::ClientConnection::new(Arc::clone(&config), name.clone()).expect("a session");
    let mut stream = rustls::StreamOwned::new(connect(), server.connect());
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .expect("a write");
    assert_eq!(read_answer(&mut stream).status, 200);
    let ada = server.user("ada");
    let body = format!("token={ada}");
    let mut stream = rustls::StreamOwned::new(connect(), server.connect());
    let head = format!(
        "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("a write");
    let cookie = read_answer(&mut stream).header("set-cookie").expect("a cookie");
    assert!(cookie.starts_with("__Host-punchcard-session="), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    let mut plain = server.connect();
    plain.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a write");
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes);
    assert!(!bytes.starts_with(b"HTTP"));
}
