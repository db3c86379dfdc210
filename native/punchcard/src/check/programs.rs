//! The programs that jobs need on the server's machine: `spark-submit`, Python and libtorch.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::config::{Cluster, Config};

type Environment = BTreeMap<String, String>;

/// The longest text of a program's errors that is told.
const SAID: usize = 300;
/// Finds the package without importing it, which would load all of CUDA.
const FIND_TORCH: &str = "import importlib.util as u; print(u.find_spec('torch').origin)";
/// The key of a folder with libtorch.
const LIBTORCH: &str = "spark.firesteel.libtorch.path";

/// Returns the problem of a `spark-submit` that fails for every job. It runs as the driver of a job does, but prints its
/// version only.
pub(super) fn submit_problem(program: &Path, environment: &Environment) -> Option<String> {
    let name = program.display();
    if !is_executable(program) {
        return Some(format!("spark_submit: '{name}' is not executable"));
    }
    let output = match run(program, &["--version"], environment) {
        Ok(output) if output.status.success() => return None,
        Ok(output) => output,
        Err(error) => return Some(format!("spark_submit: '{name}' could not be run: {error}")),
    };
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
    let said: String = said.chars().filter(|c| !c.is_control()).take(SAID).collect();
    let code =
        output.status.code().map_or_else(String::new, |code| format!(" with exit code {code}"));
    Some(format!(
        "spark_submit: '{name} --version' failed{code}: {said}; it needs Java, by JAVA_HOME or PATH, and the one that pip \
         installs needs a PYSPARK_PYTHON in environment that has pyspark"
    ))
}

/// Returns the problem of the Python that runs drivers.
pub(super) fn python_problem(cluster: &Cluster, environment: &Environment) -> Option<String> {
    let conf = |key: &'static str| Some((key, cluster.conf.get(key)?.as_str()));
    let variable = |key: &'static str| Some((key, environment.get(key)?.as_str()));
    // The order of spark-submit.
    let (key, python) = conf("spark.pyspark.driver.python")
        .or_else(|| conf("spark.pyspark.python"))
        .or_else(|| variable("PYSPARK_DRIVER_PYTHON"))
        .or_else(|| variable("PYSPARK_PYTHON"))
        .unwrap_or(("PATH", "python3"));
    if find(python, environment).is_some() {
        return None;
    }
    let table = if key.starts_with("spark.") { "conf" } else { "environment" };
    let place =
        if python.contains('/') { "is not a program" } else { "is not on the PATH of drivers" };
    Some(format!(
        "{table}: {key}: the Python '{python}' {place}; set PYSPARK_PYTHON in environment to the Python of jobs"
    ))
}

/// Returns the problem of a cluster whose executors find no libtorch, as far as this machine shows.
pub(super) fn libtorch_problem(
    config: &Config,
    cluster: &Cluster,
    environment: &Environment,
) -> Option<String> {
    let jars = config.firesteel.jars();
    let is_libtorch = |jar: &PathBuf| {
        jar.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("firesteel-libtorch-"))
    };
    let given = cluster.conf.contains_key(LIBTORCH) || environment.contains_key("LIBTORCH");
    if given || jars.iter().any(is_libtorch) || has_torch(environment) {
        return None;
    }
    Some(format!(
        "no libtorch was found, without which no training starts; install the package firesteel-libtorch-cpu into the \
         folder firesteel.python, or name its jar in firesteel.jars, or set '{LIBTORCH}' in conf"
    ))
}

/// Returns true if the Python that an executor asks has the module torch.
fn has_torch(environment: &Environment) -> bool {
    let python = environment.get("PYSPARK_PYTHON").map_or("python3", String::as_str);
    find(python, environment)
        .and_then(|python| run(&python, &["-c", FIND_TORCH], environment).ok())
        .is_some_and(|output| output.status.success())
}

fn run(program: &Path, arguments: &[&str], environment: &Environment) -> std::io::Result<Output> {
    Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .output()
}

/// Returns the file of a program that is given by a path, or by a name on the PATH.
fn find(program: &str, environment: &Environment) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| is_executable(path));
    }
    let folders = environment.get("PATH").map_or("", String::as_str);
    std::env::split_paths(folders)
        .map(|folder| folder.join(program))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
