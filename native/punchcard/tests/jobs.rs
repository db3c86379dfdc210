//! Jobs of a real server: their processes, its restarts, and what users may do.

mod support;

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::json;
use support::Server;

/// The states in which nothing happens any more.
const FINAL: [&str; 3] = ["SUCCEEDED", "FAILED", "CANCELLED"];

#[test]
fn a_program_runs_without_a_shell_reading_its_arguments() {
    let server = Server::start();
    let ada = server.user("ada");
    let id = server.submit(&ada, "echo \"got <$1> <$2>\"; echo oops >&2; pwd", 0);
    let job = server.wait(&ada, &id, &FINAL);
    assert_eq!(job["state"], "SUCCEEDED", "{job}");
    assert_eq!(job["exit_code"], 0);
    let log = server.log(&ada, &id);
    assert!(log.contains("got <one two> <$(id)>\noops\n"), "{log}");
    assert!(log.contains("--master local[2] --deploy-mode client --name test"), "{log}");
    assert!(log.trim_end().ends_with("/work"), "{log}");
    let events = server.get(&ada, &format!("/api/v1/jobs/{id}/events")).json();
    let states: Vec<_> = events["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["data"]["state"].as_str().expect("a state"))
        .collect();
    assert_eq!(states.first(), Some(&"ACCEPTED"));
    assert_eq!(states.last(), Some(&"SUCCEEDED"));
}

#[test]
fn jobs_get_the_jars_of_the_installed_packages() {
    let jar = "python/firesteel_libtorch_cpu/jars/firesteel-libtorch-cpu-linux-x86_64.jar";
    let server = Server::prepared("", |root| {
        let jar = root.join(jar);
        fs::create_dir_all(jar.parent().expect("a folder")).expect("a folder");
        fs::write(jar, "").expect("a file");
    });
    let ada = server.user("ada");
    let id = server.submit(&ada, "true", 0);
    server.wait(&ada, &id, &["SUCCEEDED"]);
    let root = server.folder.path().display();
    let jars = format!("--jars {root}/python/firesteel/jars/firesteel.jar,{root}/{jar} ");
    assert!(server.log(&ada, &id).contains(&jars), "{}", server.log(&ada, &id));
}

#[test]
fn a_failed_attempt_is_repeated_as_often_as_asked_and_the_reason_is_told() {
    let server = Server::start();
    let ada = server.user("ada");
    let id = server.submit(&ada, "echo failing; exit 7", 2);
    let job = server.wait(&ada, &id, &FINAL);
    assert_eq!(
        (&job["state"], &job["attempt"], &job["exit_code"]),
        (&json!("FAILED"), &json!(3), &json!(7))
    );
    assert_eq!(job["reason"], "the driver ended with exit code 7; its log has the cause");
}

#[test]
fn a_driver_that_fails_gives_the_reason_by_an_event() {
    let server = Server::start();
    let ada = server.user("ada");
    let program = r#"
        event='{"time": "2026-11-30T05:10:00Z", "type": "failure", "data": {"reason": "libtorch was not found:\n  LIBTORCH is not set\n"}}'
        printf '%s\n' "$event" >> "${FIRESTEEL_PUNCHCARD_REQUEST%/*}/events.jsonl"
        exit $1
    "#;
    let submit = |code: &str| {
        let id = server.submit(&ada, &program.replace("$1", code), 0);
        server.wait(&ada, &id, &FINAL)
    };
    let job = submit("3");
    assert_eq!((&job["state"], &job["exit_code"]), (&json!("FAILED"), &json!(3)));
    let reason = "libtorch was not found:\n  LIBTORCH is not set";
    assert_eq!((&job["reason"], &job["progress"]), (&json!(reason), &json!(null)));
    // The exit code decides on the state.
    let job = submit("0");
    assert_eq!((&job["state"], &job["reason"]), (&json!("SUCCEEDED"), &json!(null)));
}

#[test]
fn a_running_job_is_adopted_by_the_server_after_a_kill_and_runs_once() {
    let mut server = Server::start();
    let ada = server.user("ada");
    let mark = server.folder.path().join("mark");
    let program = format!("echo ran >> {}; {}", mark.display(), server.until_file("go"));
    let id = server.submit(&ada, &program, 3);
    server.wait(&ada, &id, &["RUNNING"]);
    server.kill();
    server.restart();
    assert_eq!(server.job(&ada, &id)["state"], "RUNNING");
    server.make_file("go");
    let job = server.wait(&ada, &id, &FINAL);
    assert_eq!((&job["state"], &job["attempt"]), (&json!("SUCCEEDED"), &json!(1)));
    assert_eq!(fs::read_to_string(mark).expect("a file"), "ran\n");
}

#[test]
fn jobs_run_once_each_under_a_server_that_is_killed_again_and_again() {
    let mut server = Server::with("[quotas]\nrunning = 4\nrunning_per_token = 4\n");
    let ada = server.user("ada");
    let mark = server.folder.path().join("mark");
    let mut ids = Vec::new();
    for number in 0..12 {
        let program = format!("echo {number} >> {}; sleep 0.3", mark.display());
        ids.push(server.submit(&ada, &program, 0));
        // From right after the acceptance to the middle of an attempt.
        thread::sleep(Duration::from_millis(number * 31 % 400));
        server.kill();
        server.restart();
    }
    for id in &ids {
        let job = server.wait(&ada, id, &FINAL);
        assert_eq!(job["state"], "SUCCEEDED", "{job}");
    }
    let text = fs::read_to_string(mark).expect("a file");
    let mut ran: Vec<u32> = text.lines().map(|line| line.parse().expect("a number")).collect();
    ran.sort_unstable();
    assert_eq!(ran, (0..12).collect::<Vec<_>>());
}

#[test]
fn cancelling_ends_all_processes_of_a_job() {
    let server = Server::with("[limits]\ngrace_seconds = 1\n");
    let ada = server.user("ada");
    let folder = server.folder.path().display().to_string();
    // One child leaves the process group, one ignores the request to end, one has left the environment too.
    let program = format!(
        "setsid sleep 601 & echo $! > {folder}/a; (trap '' TERM; while true; do sleep 0.1; done) & echo $! > {folder}/b; \
         env -i setsid sh -c 'echo $$ > {folder}/c; sleep 604; sleep 605' & \
         trap '' TERM; echo > {folder}/ready; while true; do sleep 0.1; done"
    );
    let id = server.submit(&ada, &program, 2);
    server.wait(&ada, &id, &["RUNNING"]);
    server.wait_for_file("ready");
    let pids = ["a", "b", "c"].map(|name| server.wait_for_file(name));
    let answer = server.post(&ada, &format!("/api/v1/jobs/{id}/cancel"), &json!({}));
    assert_eq!(answer.status, 202);
    let job = server.wait(&ada, &id, &FINAL);
    assert_eq!((&job["state"], &job["attempt"]), (&json!("CANCELLED"), &json!(1)));
    for pid in pids {
        assert!(support::has_ended(&pid), "{pid}");
    }
    let again = server.post(&ada, &format!("/api/v1/jobs/{id}/cancel"), &json!({}));
    assert_eq!((again.status, &again.json()["state"]), (200, &json!("CANCELLED")));
}

#[test]
fn a_job_whose_supervisor_was_killed_ends_with_all_its_processes() {
    let server = Server::start();
    let ada = server.user("ada");
    let folder = server.folder.path().to_owned();
    let program = format!("setsid sleep 602 & echo $! > {}/child; sleep 603", folder.display());
    let id = server.submit(&ada, &program, 0);
    server.wait(&ada, &id, &["RUNNING"]);
    let child = server.wait_for_file("child");
    let started =
        fs::read(folder.join(format!("data/jobs/{id}/attempt-1/started"))).expect("a file");
    let started: serde_json::Value = serde_json::from_slice(&started).expect("JSON");
    let pid = started["supervisor"].to_string();
    std::process::Command::new("kill").args(["-9", &pid]).status().expect("a kill");
    let job = server.wait(&ada, &id, &FINAL);
    assert_eq!(job["state"], "FAILED");
    assert!(
        job["reason"].as_str().expect("a reason").starts_with("the supervisor was killed"),
        "{job}"
    );
    assert!(support::has_ended(&child), "{child}");
}

#[test]
fn a_program_that_damages_the_files_of_its_attempt_does_not_hold_up_others() {
    let server = Server::with("[quotas]\nrunning_per_token = 4\n");
    let ada = server.user("ada");
    let root = server.folder.path().display().to_string();
    let program = format!(
        "cd \"$(dirname \"$FIRESTEEL_PUNCHCARD_REQUEST\")\"; rm -f events.jsonl exit.json; mkfifo events.jsonl exit.json; \
         echo > {root}/ready; sleep 600"
    );
    let hostile = server.submit(&ada, &program, 0);
    server.wait_for_file("ready");
    let other = server.submit(&ada, "true", 0);
    server.wait(&ada, &other, &["SUCCEEDED"]);
    assert_eq!(server.request("GET", "/readyz", "", b"").status, 200);
    assert_eq!(
        server.post(&ada, &format!("/api/v1/jobs/{hostile}/cancel"), &json!({})).status,
        202
    );
    server.wait(&ada, &hostile, &["CANCELLED"]);
}

#[test]
fn the_files_of_a_program_are_copies_and_bounded_together() {
    let server = Server::with("[limits]\nfiles_bytes = 500\n");
    let ada = server.user("ada");
    let data = server.upload(&ada, &"#".repeat(200));
    let program = server.upload(&ada, "cat a.txt b.txt | wc -c; echo more >> a.txt");
    let submit = |files: serde_json::Value| {
        let work = json!({"kind": "program", "file": program, "files": files});
        server.post(&ada, "/api/v1/jobs", &json!({"name": "n", "work": work}))
    };
    let fits = submit(json!({"a.txt": data, "b.txt": data}));
    assert_eq!(fits.status, 202, "{}", fits.text());
    let id = fits.json()["id"].as_str().expect("an id").to_owned();
    server.wait(&ada, &id, &["SUCCEEDED"]);
    assert!(server.log(&ada, &id).ends_with("400\n"), "{}", server.log(&ada, &id));
    // What a program does to its copy does not change the upload.
    let kept = fs::metadata(server.folder.path().join(format!("data/uploads/{data}.py")));
    assert_eq!(kept.expect("a file").len(), 200);
    let large = submit(json!({"a.txt": data, "b.txt": data, "c.txt": data}));
    assert_eq!((large.status, &large.json()["field"]), (422, &json!("work.files")));
}

#[test]
fn one_job_of_a_token_runs_at_a_time_by_default() {
    let server = Server::start();
    let ada = server.user("ada");
    let first = server.submit(&ada, &server.until_file("go"), 0);
    let second = server.submit(&ada, "true", 0);
    server.wait(&ada, &first, &["RUNNING"]);
    let job = server.wait(&ada, &second, &["QUEUED"]);
    assert_eq!(job["position"], 1);
    let other = server.command(&["token", "new", "--identity", "ada"]);
    let third = server.submit(&other, "true", 0);
    server.wait(&ada, &third, &["SUCCEEDED"]);
    assert_eq!(server.job(&ada, &second)["state"], "QUEUED");
    server.make_file("go");
    server.wait(&ada, &second, &["SUCCEEDED"]);
}

#[test]
fn the_same_key_and_request_is_one_job_also_after_a_restart() {
    let mut server = Server::start();
    let ada = server.user("ada");
    let file = server.upload(&ada, "true");
    let body = json!({"name": "n", "work": {"kind": "program", "file": file}});
    let key = "Idempotency-Key: k1\r\n";
    let first = server.post_with(&ada, "/api/v1/jobs", key, &body);
    assert_eq!(first.status, 202, "{}", first.text());
    server.kill();
    server.restart();
    let second = server.post_with(&ada, "/api/v1/jobs", key, &body);
    assert_eq!((second.status, &second.json()["id"]), (200, &first.json()["id"]));
    let other = json!({"name": "m", "work": {"kind": "program", "file": file}});
    let third = server.post_with(&ada, "/api/v1/jobs", key, &other);
    assert_eq!((third.status, &third.json()["code"]), (409, &json!("conflict")));
    // The key of another user is another key.
    let bob = server.user("bob");
    let file = server.upload(&bob, "true");
    let body = json!({"name": "n", "work": {"kind": "program", "file": file}});
    assert_eq!(server.post_with(&bob, "/api/v1/jobs", key, &body).status, 202);
}

#[test]
fn a_log_keeps_its_newest_bytes_and_is_followed_to_its_end() {
    let server = Server::with("[quotas]\nlog_bytes = 4000\n");
    let ada = server.user("ada");
    let id =
        server.submit(&ada, "for i in $(seq 1000); do echo line $i; done; sleep 1; echo end", 0);
    let stream = server.get(&ada, &format!("/api/v1/jobs/{id}/log/stream"));
    assert_eq!(stream.header("content-type").as_deref(), Some("text/event-stream"));
    assert!(stream.text().contains("end\\n"), "{}", stream.text());
    assert!(
        stream.text().contains("event: end\ndata: {\"state\":\"SUCCEEDED\"}"),
        "{}",
        stream.text()
    );
    let log = server.get(&ada, &format!("/api/v1/jobs/{id}/log"));
    let number =
        |name| log.header(name).and_then(|text| text.parse::<usize>().ok()).expect("a number");
    assert!(number("x-firesteel-offset") > 0);
    assert_eq!(number("x-firesteel-next") - number("x-firesteel-offset"), log.body.len());
    assert!(log.body.len() <= 4000);
    assert_eq!(log.header("x-firesteel-end").as_deref(), Some("true"));
    assert!(log.text().ends_with("line 1000\nend\n"), "{}", log.text());
}

#[test]
fn a_final_job_is_repeated_and_removed_with_its_files() {
    let server = Server::start();
    let ada = server.user("ada");
    let id = server.submit(&ada, &server.until_file("go"), 0);
    let path = format!("/api/v1/jobs/{id}");
    server.wait(&ada, &id, &["RUNNING"]);
    assert_eq!(server.request("DELETE", &path, &support::bearer(&ada), b"").status, 409);
    server.make_file("go");
    server.wait(&ada, &id, &["SUCCEEDED"]);
    let again = server.post(&ada, &format!("{path}/resubmit"), &json!({})).json();
    assert_eq!(again["resubmitted_from"], id.as_str());
    server.wait(&ada, again["id"].as_str().expect("an id"), &["SUCCEEDED"]);
    assert_eq!(server.request("DELETE", &path, &support::bearer(&ada), b"").status, 204);
    assert_eq!(server.get(&ada, &path).status, 404);
    assert!(!server.folder.path().join(format!("data/jobs/{id}")).exists());
}
