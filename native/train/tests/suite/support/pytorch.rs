//! PyTorch at test time, in a separate file so that the crate's unit tests share it.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The Python interpreter with PyTorch: `FIRESTEEL_PYTHON`, or that of the test environment.
fn python() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = env::var_os("FIRESTEEL_PYTHON")
        .map_or_else(|| workspace.join("build/venv-test/bin/python"), PathBuf::from);
    assert!(python.exists(), "no Python with PyTorch at {}: run `make setup`", python.display());
    python
}

/// Runs a script of `tests/suite` and returns its answers to the cases.
pub fn answer(script: &str, cases: &Value) -> Vec<u8> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite").join(script);
    let mut child = Command::new(python())
        .arg(script)
        .env_remove("LD_LIBRARY_PATH") // PyTorch brings its own libtorch
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(cases.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "PyTorch failed: {}", output.status);
    output.stdout
}
