//! The command that checks a configuration.

#![allow(clippy::expect_used, reason = "tests may be blunt")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Checks a file; returns what the command prints, and whether the file is valid.
fn check(folder: &Path, text: &str) -> (bool, String) {
    let file = folder.join("punchcard.toml");
    fs::write(&file, text).expect("a file");
    let output = Command::new(support::BINARY)
        .args(["check", "--config"])
        .arg(&file)
        .output()
        .expect("a process");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).expect("text"))
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let python = folder.path().join("python/firesteel");
    for file in ["punchcard/runner.py", "jars/firesteel.jar"] {
        fs::create_dir_all(python.join(file).parent().expect("a folder")).expect("a folder");
        fs::write(python.join(file), "").expect("a file");
    }
    fs::write(folder.path().join("submit"), "").expect("a file");
    fs::set_permissions(folder.path().join("submit"), fs::Permissions::from_mode(0o755))
        .expect("a mode");
    folder
}

const START: &str = "data = 'data'\n[firesteel]\npython = 'python'\n";

fn cluster(name: &str, lines: &str) -> String {
    format!("[clusters.{name}]\nspark_submit = 'submit'\n{lines}\n")
}

#[test]
fn a_valid_configuration_is_summed_up_and_nothing_is_created() {
    let folder = folder();
    let text = START.to_owned()
        + &cluster("a", "master = 'local[4]'")
        + &cluster("b", "master = 'yarn'\nenvironment = { HADOOP_CONF_DIR = '/' }");
    let (valid, printed) = check(folder.path(), &format!("default_cluster = 'b'\n{text}"));
    assert!(valid, "{printed}");
    let expected = "is valid\nlistens on http://127.0.0.1:7438\ncluster a: local[4]\n\
                    cluster b (default): yarn\n";
    assert!(printed.ends_with(expected), "{printed}");
    assert!(!folder.path().join("data").exists());
}

#[test]
fn without_an_option_the_file_is_that_of_the_present_folder() {
    let folder = folder();
    let text = START.to_owned() + &cluster("a", "master = 'local'");
    fs::write(folder.path().join("punchcard.toml"), text).expect("a file");
    let output = Command::new(support::BINARY)
        .arg("check")
        .current_dir(folder.path())
        .output()
        .expect("a process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_problem_is_told_with_its_key() {
    let folder = folder();
    fs::write(folder.path().join("text"), "").expect("a file");
    let text = format!("tls = {{ certificate = 'none.pem', key = 'none.pem' }}\n{START}")
        + &cluster("a", "master = 'mesos://host:5050'")
        + &cluster("b", "master = 'yarn'")
        + &cluster("c", "master = 'yarn'\nenvironment = { YARN_CONF_DIR = '/none' }")
        + &cluster("d", "master = 'k8s://https://host:6443'")
        + &cluster("e", "master = 'local'").replace("submit'", "text'");
    let (valid, printed) = check(folder.path(), &text);
    assert!(!valid);
    for problem in [
        "none.pem: ",
        "clusters.a: master: must be local[N], spark://HOST:PORT, yarn or k8s://URL, not 'mesos://host:5050'",
        "clusters.b: environment: master = 'yarn' needs HADOOP_CONF_DIR or YARN_CONF_DIR",
        "clusters.c: environment: the folder '/none' does not exist",
        "clusters.d: conf: a Kubernetes master needs 'spark.kubernetes.container.image'",
        "text' is not executable",
    ] {
        assert!(printed.contains(problem), "{problem}\n{printed}");
    }
    let (valid, printed) = check(folder.path(), &format!("port = 1\n{START}"));
    assert!(!valid && printed.contains("unknown field `port`"), "{printed}");
}
