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

const LIBTORCH: &str = "python/firesteel_libtorch_cpu/jars/firesteel-libtorch-cpu-linux-x86_64.jar";

/// A folder with what the wheels install, a `spark-submit`, and a Python without modules.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["python/firesteel/punchcard/runner.py", "python/firesteel/jars/firesteel.jar"];
    for file in files.into_iter().chain([LIBTORCH]) {
        let file = folder.path().join(file);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, "").expect("a file");
    }
    script(folder.path(), "submit", "[ \"$*\" = --version ]");
    script(folder.path(), "python3", "exit 1");
    folder
}

fn script(folder: &Path, name: &str, line: &str) {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{line}\n")).expect("a file");
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("a mode");
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
    let expected = "is valid\naddress: http://127.0.0.1:7438\ncluster a: local[4]\n\
                    cluster b (default): yarn\n";
    assert!(printed.ends_with(expected), "{printed}");
    assert!(!folder.path().join("data").exists());
}

#[test]
fn without_an_option_the_file_is_that_of_the_current_directory() {
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
        "clusters.a: master: must be local, local[N], local[*], spark://HOST:PORT, yarn or k8s://https://HOST:PORT, \
         not 'mesos://host:5050'",
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

/// Returns what the check of one local cluster with some lines prints.
fn check_local(folder: &Path, top: &str, lines: &str) -> (bool, String) {
    let cluster = cluster("a", &format!("master = 'local[2]'\n{lines}"));
    check(folder, &format!("{top}{START}{cluster}"))
}

#[test]
fn a_folder_of_data_on_this_machine_must_exist() {
    let folder = folder();
    let path = folder.path().display();
    let lines = |name: &str| format!("data = ['hdfs:///data/', 'file:{path}/{name}/']");
    let (valid, printed) = check_local(folder.path(), "", &lines("rows"));
    let problem = format!(
        "clusters.a: data: the folder '{path}/rows/' does not exist; create it, or correct"
    );
    assert!(!valid && printed.contains(&problem), "{printed}");
    fs::create_dir(folder.path().join("rows")).expect("a folder");
    for form in [lines("rows"), lines("rows").replace("file:", "file://")] {
        let (valid, printed) = check_local(folder.path(), "", &form);
        assert!(valid, "{printed}");
    }
}

#[test]
fn spark_submit_must_run_with_the_environment_of_drivers() {
    let folder = folder();
    script(
        folder.path(),
        "submit",
        "[ -n \"$SPARK_HOME\" ] && exit 0; echo 'no Spark' >&2; echo >&2; exit 127",
    );
    let (valid, printed) = check_local(folder.path(), "", "");
    assert!(
        !valid && printed.contains("submit --version' failed with exit code 127: no Spark; "),
        "{printed}"
    );
    assert!(
        printed.contains("needs a PYSPARK_PYTHON in environment that has pyspark"),
        "{printed}"
    );
    let (valid, printed) =
        check_local(folder.path(), "", "environment = { SPARK_HOME = '/spark' }");
    assert!(valid, "{printed}");
}

#[test]
fn the_python_of_drivers_must_be_a_program() {
    let folder = folder();
    script(folder.path(), "submit", "exit 1");
    let path = folder.path().display();
    for (lines, problem) in [
        (
            "environment = { PYSPARK_PYTHON = '/none/python' }".to_owned(),
            "environment: PYSPARK_PYTHON: the Python '/none/python' is not a program",
        ),
        (
            format!("environment = {{ PYSPARK_PYTHON = '{path}' }}"),
            "environment: PYSPARK_PYTHON: the Python '/",
        ),
        (
            "conf = { 'spark.pyspark.python' = 'python0' }".to_owned(),
            "conf: spark.pyspark.python: the Python 'python0' is not on the PATH of drivers",
        ),
        (
            "environment = { PATH = '/none' }".to_owned(),
            "environment: PATH: the Python 'python3' is not on the PATH of drivers",
        ),
    ] {
        let (valid, printed) = check_local(folder.path(), "", &lines);
        assert!(!valid && printed.contains(problem), "{printed}");
        // What follows from it is not told.
        assert!(!printed.contains("--version"), "{printed}");
    }
    script(folder.path(), "submit", "exit 0");
    let lines = format!("environment = {{ PYSPARK_PYTHON = '{path}/python3' }}");
    let (valid, printed) = check_local(folder.path(), "", &lines);
    assert!(valid, "{printed}");
}

#[test]
fn a_cluster_without_libtorch_is_told() {
    let folder = folder();
    let path = folder.path().display();
    // The Python of this machine may have a torch.
    let python = format!("environment = {{ PYSPARK_PYTHON = '{path}/python3' }}");
    assert!(check_local(folder.path(), "", &python).0);
    fs::rename(folder.path().join(LIBTORCH), folder.path().join("firesteel-libtorch-b.jar"))
        .expect("a name");
    let (valid, printed) = check_local(folder.path(), "", &python);
    assert!(!valid && printed.contains("clusters.a: no libtorch was found"), "{printed}");
    let (valid, printed) = check(
        folder.path(),
        &(START.to_owned() + &cluster("b", &format!("master = 'spark://host:7077'\n{python}"))),
    );
    assert!(valid && printed.contains("note: clusters.b: no libtorch was found"), "{printed}");
    let conf = format!("{python}\nconf = {{ 'spark.firesteel.libtorch.path' = '/libtorch' }}");
    assert!(check_local(folder.path(), "", &conf).0);
    let jars = format!("{START}jars = ['firesteel-libtorch-b.jar']\n");
    let (valid, printed) =
        check(folder.path(), &(jars + &cluster("a", &format!("master = 'local'\n{python}"))));
    assert!(valid, "{printed}");
    script(folder.path(), "python3", "exit 0");
    assert!(check_local(folder.path(), "", &python).0);
}

#[test]
fn an_entry_of_hosts_is_a_name_and_a_server_on_all_addresses_needs_one() {
    let folder = folder();
    let (valid, printed) = check_local(folder.path(), "hosts = ['127.0.0.1:17443']\n", "");
    let problem = "hosts: '127.0.0.1:17443' must be a name or an address alone, without a scheme, a port or a path; \
                   write \"127.0.0.1\"";
    assert!(!valid && printed.contains(problem), "{printed}");
    let top = "listen = '0.0.0.0:7438'\ntls = { certificate = 'a.pem', key = 'b.pem' }\n";
    let (valid, printed) = check_local(folder.path(), top, "");
    assert!(
        !valid && printed.contains("hosts is empty, so that a server that listens on 0.0.0.0"),
        "{printed}"
    );
}

#[test]
fn a_missing_file_is_told_with_what_to_do() {
    let folder = folder();
    let output = Command::new(support::BINARY)
        .arg("check")
        .current_dir(folder.path())
        .output()
        .expect("a process");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("punchcard.toml: there is no such file; write it"), "{error}");
    assert!(error.contains("--config"), "{error}");
}

#[test]
fn a_file_of_firesteel_that_is_missing_is_told_with_its_key() {
    let folder = folder();
    let jar = "python/firesteel/jars/firesteel.jar";
    for (file, remedy) in [
        (jar, "install the wheel of Firesteel, or correct jar and jars"),
        (
            "python/firesteel/punchcard/runner.py",
            "python must be the folder with the package firesteel",
        ),
    ] {
        fs::remove_file(folder.path().join(file)).expect("a file");
        let (valid, printed) = check_local(folder.path(), "", "");
        let problem = format!("{file}', which does not exist; {remedy}");
        assert!(!valid && printed.contains(&problem), "{printed}");
    }
}
