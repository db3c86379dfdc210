//! The pages of a real server: jobs, logs, tokens and users.

mod support;

use serde_json::json;
use support::Server;
use support::browser::{admin, get, location, post, sign_in};

#[test]
fn a_job_is_cancelled_and_submitted_again_once_by_a_form() {
    let server = Server::start();
    let ada = server.user("ada");
    let id = server.submit(&ada, "sleep 60", 0);
    server.wait(&ada, &id, &["RUNNING"]);
    let cookie = sign_in(&server, &ada);
    let page = get(&server, &cookie, &format!("/jobs/{id}")).text();
    let key = page.split("name=\"key\" value=\"").nth(1).expect("a key");
    let key = key.split('"').next().expect("a key").to_owned();
    let answer = post(&server, &cookie, &format!("/jobs/{id}/cancel"), "");
    assert_eq!((answer.status, location(&answer)), (303, format!("/jobs/{id}?done=cancel")));
    server.wait(&ada, &id, &["CANCELLED"]);
    let again = |_| {
        let answer = post(&server, &cookie, &format!("/jobs/{id}/resubmit"), &format!("key={key}"));
        assert_eq!(answer.status, 303, "{}", answer.text());
        location(&answer)
    };
    let paths: Vec<_> = (0..2).map(again).collect();
    assert_eq!(paths[0], paths[1]);
    let page = get(&server, &cookie, &paths[0]).text();
    assert!(page.contains("The job was submitted again"), "{page}");
    assert!(page.contains(&format!("href=\"/jobs/{id}\"")), "{page}");
    let final_page = get(&server, &cookie, &format!("/jobs/{id}")).text();
    assert!(!final_page.contains("/cancel\""), "{final_page}");
}

#[test]
fn a_job_that_failed_shows_when_its_next_attempt_may_start() {
    let server = Server::with("[limits]\nretry_seconds = 100\n");
    let ada = server.user("ada");
    let go = server.folder.path().join("go");
    let program = format!("while [ ! -e {} ]; do sleep 0.05; done; exit 1", go.display());
    let id = server.submit(&ada, &program, 1);
    server.wait(&ada, &id, &["RUNNING"]);
    std::fs::write(&go, "").expect("a file");
    let job = server.wait(&ada, &id, &["QUEUED"]);
    let time = job["not_before"].as_str().expect("a time").to_owned();
    let cookie = sign_in(&server, &ada);
    let page = get(&server, &cookie, &format!("/jobs/{id}")).text();
    let fact = page.split("<dt>Next attempt</dt>").nth(1).expect("the time of the next attempt");
    assert!(fact.split("</div>").next().expect("a fact").contains(&time), "{time} {fact}");
    post(&server, &cookie, &format!("/jobs/{id}/cancel"), "");
    let job = server.wait(&ada, &id, &["CANCELLED"]);
    assert_eq!((&job["attempt"], &job["not_before"]), (&json!(1), &json!(null)));
}

#[test]
fn a_final_job_is_deleted_after_a_question() {
    let server = Server::start();
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let id = server.submit(&ada, "echo x > \"$FIRESTEEL_PUNCHCARD_RESULTS/a.txt\"; sleep 60", 0);
    server.wait(&ada, &id, &["RUNNING"]);
    let (cookie, foreign) = (sign_in(&server, &ada), sign_in(&server, &bob));
    let path = format!("/jobs/{id}/delete");
    let link = format!("href=\"{path}\"");
    assert!(!get(&server, &cookie, &format!("/jobs/{id}")).text().contains(&link));
    assert_eq!(get(&server, &cookie, &path).status, 409);
    assert_eq!(post(&server, &cookie, &path, "").status, 409);
    post(&server, &cookie, &format!("/jobs/{id}/cancel"), "");
    server.wait(&ada, &id, &["CANCELLED"]);
    assert!(get(&server, &cookie, &format!("/jobs/{id}")).text().contains(&link));
    for answer in [get(&server, &foreign, &path), post(&server, &foreign, &path, "")] {
        assert_eq!(answer.status, 404);
    }
    let question = get(&server, &cookie, &path).text();
    assert!(question.contains("<h1>Delete this job?</h1>"), "{question}");
    assert!(question.contains("and its artefact (2 B)"), "{question}");
    assert_eq!(server.job(&ada, &id)["state"], "CANCELLED");
    let answer = post(&server, &cookie, &path, "");
    assert_eq!((answer.status, location(&answer).as_str()), (303, "/jobs?done=delete"));
    assert!(get(&server, &cookie, "/jobs?done=delete").text().contains("The job is deleted."));
    assert_eq!(get(&server, &cookie, &format!("/jobs/{id}")).status, 404);
    assert!(!server.folder.path().join("data/jobs").join(&id).exists());
}

#[test]
fn names_logs_and_files_are_text() {
    let server = Server::start();
    let ada = server.user("ada");
    let program = "echo '<script>alert(1)</script>&amp;'; \
                   echo x > \"$FIRESTEEL_PUNCHCARD_RESULTS/<b>\\\"&.txt\"";
    let file = server.upload(&ada, program);
    let attack = "<img src=x onerror=alert(1)>\"'";
    let work = json!({"kind": "program", "file": file, "arguments": [attack]});
    let job = server.post(&ada, "/api/v1/jobs", &json!({"name": attack, "work": work})).json();
    let id = job["id"].as_str().expect("an id").to_owned();
    server.wait(&ada, &id, &["SUCCEEDED"]);
    let cookie = sign_in(&server, &ada);
    for path in [
        "/jobs".to_owned(),
        "/jobs?name=%3Cimg%20src%3Dx%3E%22".to_owned(),
        format!("/jobs/{id}"),
        format!("/jobs/{id}/log"),
        "/sign-in?next=/%22%3E%3Cimg%20src%3Dx%3E".to_owned(),
    ] {
        let page = get(&server, &cookie, &path);
        assert_eq!(page.status, 200, "{path}");
        let text = page.text();
        for part in ["<img", "<script>alert", "<b>", "onerror=alert(1)>"] {
            assert!(!text.contains(part), "{path} {part}: {text}");
        }
        assert!(!text.contains(" style=") && !text.contains("<style"), "{path}");
        assert_eq!(text.matches("<script").count(), 1, "{path}");
    }
    let page = get(&server, &cookie, &format!("/jobs/{id}")).text();
    assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;&#38;amp;"), "{page}");
    let link = page.split("/artifacts/").nth(1).expect("a link").split('"').next().expect("a link");
    let file = get(&server, &cookie, &format!("/api/v1/jobs/{id}/artifacts/{link}"));
    assert_eq!((file.status, file.text().as_str()), (200, "x\n"), "{link}");
    assert_eq!(file.header("content-disposition").as_deref(), Some("attachment"));
}

#[test]
fn curves_of_a_training_are_drawn_by_the_server() {
    let server = Server::start();
    let ada = server.user("ada");
    let mut program = "cd \"$(dirname \"$FIRESTEEL_PUNCHCARD_REQUEST\")\"\n".to_owned();
    for epoch in 1..=3 {
        let data = json!({"fit": 0, "epoch": epoch, "epochs": 3, "loss": 1.0 / f64::from(epoch),
                          "metrics": {"<accuracy>": 0.5}});
        let event = json!({"time": "2026-11-30T05:10:00Z", "type": "epoch", "data": data});
        program += &format!("echo '{event}' >> events.jsonl\n");
    }
    let id = server.submit(&ada, &program, 0);
    server.wait(&ada, &id, &["SUCCEEDED"]);
    let cookie = sign_in(&server, &ada);
    let page = get(&server, &cookie, &format!("/jobs/{id}")).text();
    assert_eq!(page.matches("<polyline").count(), 2, "{page}");
    assert!(
        page.contains("aria-label=\"loss over epochs: from 0.3333 to 1; 0.3333 after epoch 3\"")
    );
    assert!(page.contains("&#60;accuracy&#62;") && !page.contains("<accuracy>"), "{page}");
}

#[test]
fn jobs_are_filtered_and_listed_page_by_page() {
    let server = Server::with("[quotas]\nqueued = 100\n");
    let (ada, root) = (server.user("ada"), admin(&server));
    let file = server.upload(&ada, "true");
    for number in 0..27 {
        let body =
            json!({"name": format!("job-{number:02}"), "work": {"kind": "program", "file": file}});
        assert_eq!(server.post(&ada, "/api/v1/jobs", &body).status, 202);
    }
    let cookie = sign_in(&server, &ada);
    let first = get(&server, &cookie, "/jobs?name=job").text();
    assert!(first.contains("job-26") && !first.contains("job-01<"), "{first}");
    let older = first.split("href=\"/jobs?name=job&#38;before=").nth(1).expect("a link");
    let older = older.split('"').next().expect("a link");
    let second = get(&server, &cookie, &format!("/jobs?name=job&before={older}")).text();
    assert!(
        second.contains("job-01<") && second.contains("job-00<") && !second.contains("job-02<")
    );
    assert!(second.contains("href=\"/jobs?name=job\""), "{second}");
    assert!(get(&server, &cookie, "/jobs?name=other").text().contains("No job matches"));
    assert_eq!(get(&server, &cookie, "/jobs?state=NONE").status, 422);
    assert_eq!(get(&server, &cookie, "/jobs?user=root").status, 403);
    let cookie = sign_in(&server, &root);
    let all = get(&server, &cookie, "/jobs?user=ada&state=&name=").text();
    assert!(all.contains("job-26") && all.contains("<option selected>ada</option>"), "{all}");
}

#[test]
fn a_token_is_shown_once_and_revoked() {
    let server = Server::start();
    let ada = server.user("ada");
    let cookie = sign_in(&server, &ada);
    let made = post(&server, &cookie, "/tokens", "label=note+%3Cbook%3E&expires_days=30");
    assert_eq!(made.status, 200);
    let token = made.text().split("fsp_").nth(1).expect("a token")[..43].to_owned();
    let token = format!("fsp_{token}");
    assert_eq!(server.get(&token, "/api/v1/me").json()["name"], "ada");
    let page = get(&server, &cookie, "/tokens").text();
    assert!(!page.contains(&token) && page.contains("note &#60;book&#62;"), "{page}");
    for (body, field) in [("expires_days=0", "expires_days"), ("expires_days=x", "expires_days")] {
        let answer = post(&server, &cookie, "/tokens", body);
        assert_eq!(answer.status, 422);
        assert!(answer.text().contains(&format!("id=\"{field}-error\"")), "{}", answer.text());
    }
    let long = format!("label={}", "a".repeat(101));
    assert!(post(&server, &cookie, "/tokens", &long).text().contains("id=\"label-error\""));
    let path = page.split("action=\"/tokens/").nth(1).expect("a form");
    let id = path.split('/').next().expect("an id");
    let answer = post(&server, &cookie, &format!("/tokens/{id}/revoke"), "");
    assert_eq!(location(&answer), "/tokens?done=revoke");
    assert_eq!(server.get(&token, "/api/v1/me").status, 401);
    let other = server.user("bob");
    let tokens = server.get(&other, "/api/v1/users/bob/tokens").json();
    let foreign = tokens["tokens"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(post(&server, &cookie, &format!("/tokens/{foreign}/revoke"), "").status, 404);
    assert_eq!(server.get(&other, "/api/v1/me").status, 200);
}

#[test]
fn administrators_manage_users_and_others_are_refused() {
    let server = Server::start();
    let (ada, root) = (server.user("ada"), admin(&server));
    let (user, cookie) = (sign_in(&server, &ada), sign_in(&server, &root));
    assert!(!get(&server, &user, "/jobs").text().contains("href=\"/users\""));
    for path in ["/users", "/users/ada", "/users/root"] {
        assert_eq!(get(&server, &user, path).status, 403, "{path}");
        assert_eq!(post(&server, &user, path, "name=eve&role=admin").status, 403, "{path}");
    }
    assert_eq!(post(&server, &user, "/users/root/tokens", "label=a").status, 403);
    assert_eq!(post(&server, &user, "/users/root/tokens/0/revoke", "").status, 403);

    for (body, text) in [
        ("name=..%2Fx&role=user", "at most 64 letters"),
        ("name=ada&role=user", "Another user has this name"),
        ("name=eve&role=king", "id=\"role-error\""),
    ] {
        let answer = post(&server, &cookie, "/users", body);
        assert_eq!(answer.status, 422, "{body}");
        assert!(answer.text().contains(text), "{body} {}", answer.text());
    }
    let added = post(&server, &cookie, "/users", "name=eve&role=user&programs=on");
    assert_eq!(location(&added), "/users/eve?done=add");
    let changed = "role=admin&running=7&queued=&upload_bytes=&log_bytes=&retention_days=3";
    assert_eq!(post(&server, &cookie, "/users/eve", changed).status, 303);
    let eve = server.get(&root, "/api/v1/users/eve").json();
    assert_eq!((&eve["role"], &eve["programs"]), (&json!("admin"), &json!(false)), "{eve}");
    assert_eq!((&eve["running"], &eve["queued"]), (&json!(7), &json!(null)), "{eve}");
    for (body, field) in [
        ("role=user&running=-1", "running"),
        ("role=user&log_bytes=0", "log_bytes"),
        ("role=king", "role"),
    ] {
        let answer = post(&server, &cookie, "/users/eve", body);
        assert_eq!(answer.status, 422, "{body}");
        assert!(answer.text().contains(&format!("id=\"{field}-error\"")), "{}", answer.text());
    }
    // A value that a number holds, but not the database, leaves the form as it was sent.
    for (field, value) in [
        ("running", "3000000000"),
        ("queued", "3000000000"),
        ("upload_bytes", "9999999999999999999"),
        ("log_bytes", "9999999999999999999"),
        ("retention_days", "3000000000"),
    ] {
        let answer = post(&server, &cookie, "/users/eve", &format!("role=user&{field}={value}"));
        let text = answer.text();
        assert_eq!(answer.status, 422, "{field}");
        assert!(text.contains(&format!("id=\"{field}-error\"")), "{field}: {text}");
        assert!(text.contains(&format!("value=\"{value}\"")), "{field}: {text}");
    }
    let own = post(&server, &cookie, "/users/root", "role=user");
    assert_eq!(own.status, 422);
    let made = post(&server, &cookie, "/users/eve/tokens", "label=a&expires_days=");
    let token = format!("fsp_{}", &made.text().split("fsp_").nth(1).expect("a token")[..43]);
    assert_eq!(server.get(&token, "/api/v1/me").json()["name"], "eve");
    assert_eq!(get(&server, &cookie, "/users/nobody").status, 404);
    assert_eq!(get(&server, &cookie, "/users/..%2Fx").status, 404);
}

#[test]
fn errors_are_pages_for_browsers_and_json_for_programs() {
    let server = Server::start();
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let id = server.submit(&ada, "true", 0);
    let cookie = sign_in(&server, &bob);
    for path in [
        "/nothing".to_owned(),
        format!("/jobs/{id}"),
        format!("/jobs/{id}/log"),
        "/jobs/x".to_owned(),
    ] {
        let answer = get(&server, &cookie, &path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("<h1>Not Found</h1>"), "{path} {}", answer.text());
    }
    assert_eq!(post(&server, &cookie, &format!("/jobs/{id}/cancel"), "").status, 404);
    let answer = server.request("GET", "/nothing", "", b"");
    assert_eq!(answer.json()["code"], "not_found");
    let answer = get(&server, "", "/api/v1/nothing");
    assert_eq!(answer.json()["code"], "not_found");
}

#[test]
fn the_style_and_script_are_kept_by_browsers_under_names_of_their_content() {
    let server = Server::start();
    let page = get(&server, "", "/sign-in").text();
    let mut types = Vec::new();
    for part in page.split("\"/static/").skip(1) {
        let path = format!("/static/{}", part.split('"').next().expect("a name"));
        let file = get(&server, "", &path);
        assert_eq!(file.status, 200, "{path}");
        assert!(file.header("cache-control").expect("a header").contains("immutable"));
        types.push(file.header("content-type").expect("a type"));
    }
    assert_eq!(
        types,
        ["image/svg+xml", "text/css; charset=utf-8", "text/javascript; charset=utf-8"]
    );
    assert_eq!(get(&server, "", "/static/other.css").status, 404);
}

#[test]
fn a_log_is_read_by_links_without_a_script() {
    let server = Server::start();
    let ada = server.user("ada");
    let id = server.submit(&ada, "for i in $(seq 20000); do echo line $i; done", 0);
    server.wait(&ada, &id, &["SUCCEEDED"]);
    let cookie = sign_in(&server, &ada);
    let end = get(&server, &cookie, &format!("/jobs/{id}/log")).text();
    assert!(end.contains("\nline 20000\n") && !end.contains("\nline 1\n"), "the end");
    assert!(end.contains(">Earlier<") && !end.contains(">Later<"), "the end");
    let start = get(&server, &cookie, &format!("/jobs/{id}/log?attempt=1&offset=0")).text();
    assert!(start.contains("\nline 1\n") && !start.contains(">Earlier<"), "the start");
    let later =
        start.split("&amp;offset=").nth(1).expect("a link").split('"').next().expect("a link");
    assert_eq!(later, "65536");
    assert_eq!(get(&server, &cookie, &format!("/jobs/{id}/log?attempt=2")).status, 404);
    let page = get(&server, &cookie, &format!("/jobs/{id}")).text();
    assert!(page.contains("\nline 20000\n") && page.len() < 120_000, "{}", page.len());
}

#[test]
fn a_character_on_the_border_of_two_parts_of_a_log_is_shown_whole() {
    let server = Server::start();
    let ada = server.user("ada");
    // Characters of two bytes from an odd offset.
    let id =
        server.submit(&ada, "printf x; for i in $(seq 5000); do printf äöüßäöüßäöüßäöüß; done", 0);
    server.wait(&ada, &id, &["SUCCEEDED"]);
    let cookie = sign_in(&server, &ada);
    for offset in [0, 65_535, 65_536, 65_537] {
        let part = get(&server, &cookie, &format!("/jobs/{id}/log?offset={offset}")).text();
        assert!(part.contains("äöüß") && !part.contains('\u{fffd}'), "{offset}");
    }
}
