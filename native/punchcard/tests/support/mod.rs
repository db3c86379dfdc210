//! A real server, with `spark-submit` replaced by a script that runs the uploaded program with bash.

#![allow(clippy::expect_used, clippy::panic, reason = "tests may be blunt")]
#![allow(dead_code, reason = "each test file uses its own part of it")]

pub mod browser;
mod processes;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub const BINARY: &str = env!("CARGO_BIN_EXE_firesteel-punchcard");

/// Runs the file that ends with `.py` among the arguments, with the arguments after it.
const SUBMIT: &str = "#!/bin/bash\n\
    echo \"submitted: $*\"\n\
    while [[ $# -gt 0 && \"$1\" != *.py ]]; do shift; done\n\
    exec bash \"$@\"\n";

pub struct Server {
    pub folder: tempfile::TempDir,
    pub port: u16,
    process: Child,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let line = |line: &str| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        };
        self.head.lines().find_map(line)
    }
}

impl Server {
    pub fn start() -> Self {
        Self::with("")
    }

    /// Starts a server with further lines at the top of its configuration.
    pub fn with(lines: &str) -> Self {
        Self::prepared(lines, |_| ())
    }

    /// Starts a server in a folder to which files were added.
    pub fn prepared(lines: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir_all(root.join("python/firesteel/punchcard")).expect("a folder");
        fs::create_dir_all(root.join("python/firesteel/jars")).expect("a folder");
        fs::write(root.join("python/firesteel/punchcard/runner.py"), "sleep 60").expect("a file");
        fs::write(root.join("python/firesteel/jars/firesteel.jar"), "").expect("a file");
        fs::write(root.join("submit"), SUBMIT).expect("a file");
        fs::set_permissions(root.join("submit"), fs::Permissions::from_mode(0o755))
            .expect("a mode");
        let config = format!(
            "listen = '127.0.0.1:0'\ndata = 'data'\n{lines}\n\
             [firesteel]\npython = 'python'\n\
             [clusters.local]\nmaster = 'local[2]'\nspark_submit = 'submit'\n\
             data = ['file:/srv/data/']\nallowed_conf = ['spark.sql.shuffle.partitions']\n"
        );
        fs::write(root.join("punchcard.toml"), config).expect("a file");
        prepare(root);
        let (process, port) = launch(root);
        Self { folder, port, process }
    }

    /// Kills the server as a crash would.
    pub fn kill(&mut self) {
        self.process.kill().expect("a kill");
        self.process.wait().expect("an end");
    }

    pub fn restart(&mut self) {
        (self.process, self.port) = launch(self.folder.path());
    }

    /// Runs the command line beside the server.
    pub fn command(&self, arguments: &[&str]) -> String {
        let output = Command::new(BINARY)
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path().join("punchcard.toml"))
            .output()
            .expect("a process");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// Returns the token of a new user who may run programs.
    pub fn user(&self, name: &str) -> String {
        self.command(&["user", "add", name, "--programs"]);
        self.command(&["token", "new", "--identity", name])
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream
    }

    /// Sends a request with headers such as `"A: b\r\n"`.
    pub fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
        let head = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("a write");
        // The server may answer and close before it has read all.
        let _ = stream.write_all(body);
        read_answer(stream)
    }

    pub fn get(&self, token: &str, path: &str) -> Answer {
        self.request("GET", path, &bearer(token), b"")
    }

    pub fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.post_with(token, path, "", body)
    }

    pub fn post_with(&self, token: &str, path: &str, headers: &str, body: &Value) -> Answer {
        let headers = format!("{}Content-Type: application/json\r\n{headers}", bearer(token));
        self.request("POST", path, &headers, body.to_string().as_bytes())
    }

    /// Uploads a program in bash; returns its id.
    pub fn upload(&self, token: &str, program: &str) -> String {
        let headers = format!("{}X-Firesteel-Filename: a.py\r\n", bearer(token));
        let answer = self.request("POST", "/api/v1/uploads", &headers, program.as_bytes());
        assert!([200, 201].contains(&answer.status), "{}", answer.text());
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Submits a program in bash with an attempt and retries; returns the job's id.
    pub fn submit(&self, token: &str, program: &str, retries: u32) -> String {
        let file = self.upload(token, program);
        let body = json!({
            "name": "test", "retries": retries,
            "work": {"kind": "program", "file": file, "arguments": ["one two", "$(id)"]},
        });
        let answer = self.post(token, "/api/v1/jobs", &body);
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    pub fn job(&self, token: &str, id: &str) -> Value {
        self.get(token, &format!("/api/v1/jobs/{id}")).json()
    }

    /// Waits until a job is in one of some states; returns it.
    pub fn wait(&self, token: &str, id: &str, states: &[&str]) -> Value {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let job = self.job(token, id);
            if states.contains(&job["state"].as_str().unwrap_or("")) {
                return job;
            }
            assert!(Instant::now() < end, "not {states:?}: {job}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns a line of a shell program that waits for a file of the server's folder.
    pub fn until_file(&self, name: &str) -> String {
        let file = self.folder.path().join(name);
        format!("while [ ! -e {} ]; do sleep 0.05; done", file.display())
    }

    /// Makes a file, for which a program waits.
    pub fn make_file(&self, name: &str) {
        fs::write(self.folder.path().join(name), "").expect("a file");
    }

    /// Waits until a program has written a line to a file of the server's folder; returns the file's text.
    pub fn wait_for_file(&self, name: &str) -> String {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match fs::read_to_string(self.folder.path().join(name)) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => {}
            }
            assert!(Instant::now() < end, "no file '{name}'");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Opens a stream with headers such as `"A: b\r\n"`.
    pub fn open(&self, path: &str, headers: &str) -> TcpStream {
        let mut stream = self.connect();
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).expect("a write");
        stream
    }

    pub fn log(&self, token: &str, id: &str) -> String {
        self.get(token, &format!("/api/v1/jobs/{id}/log")).text()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Jobs outlive their server.
        processes::kill_all(self.folder.path());
    }
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub fn read_answer(mut stream: impl std::io::Read) -> Answer {
    let mut bytes = Vec::new();
    // A connection that the server ends early still has its answer.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let mut body = bytes[end + 4..].to_vec();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body = dechunk(&body);
    }
    Answer { status, head, body }
}

/// Reads from a stream until it has given a text; returns all that was read.
pub fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let (mut read, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        let found = String::from_utf8_lossy(&read).into_owned();
        if found.contains(text) {
            return found;
        }
        let count = stream.read(&mut bytes).expect("a read");
        assert!(count > 0, "the stream ended without '{text}': {found}");
        read.extend_from_slice(&bytes[..count]);
    }
}

/// Returns true if a process has ended.
pub fn has_ended(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.contains("State:\tZ")
}

fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = bytes.windows(2).position(|window| window == b"\r\n") {
        let text = std::str::from_utf8(&bytes[..line]).expect("a size");
        let size = usize::from_str_radix(text, 16).expect("a size");
        if size == 0 {
            break;
        }
        body.extend_from_slice(&bytes[line + 2..line + 2 + size]);
        bytes = &bytes[line + 4 + size..];
    }
    body
}

#[expect(clippy::zombie_processes, reason = "the server waits for it when it is dropped")]
fn launch(root: &Path) -> (Child, u16) {
    let log = root.join("server.log");
    let output = fs::File::create(&log).expect("a file");
    let process = Command::new(BINARY)
        .arg("serve")
        .arg("--config")
        .arg(root.join("punchcard.toml"))
        .stdout(Stdio::null())
        .stderr(output)
        .spawn()
        .expect("a process");
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let text = fs::read_to_string(&log).expect("a log");
        let port = text
            .split("://127.0.0.1:")
            .nth(1)
            .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        if let Some(port) = port {
            return (process, port);
        }
        assert!(Instant::now() < end, "no server: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
