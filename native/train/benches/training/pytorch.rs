//! PyTorch in a separate process that answers commands.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// Values of an image.
pub const SIZE: usize = 784;

/// Images of MNIST with their classes.
pub struct Images {
    pub pixels: Vec<u8>,
    pub classes: Vec<u8>,
}

/// The process of `torch_loop.py`.
pub struct PyTorch {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl PyTorch {
    /// Starts the process on the first `rows` rows of MNIST and returns them.
    pub fn start(rows: usize) -> (Self, Images) {
        let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = env::var_os("FIRESTEEL_PYTHON")
            .map_or_else(|| crate_root.join("../../build/venv-test/bin/python"), PathBuf::from);
        assert!(
            python.exists(),
            "no Python with PyTorch at {}: run `make setup-test`",
            python.display()
        );
        let mut child = Command::new(python)
            .arg(crate_root.join("benches/torch_loop.py"))
            .arg(crate_root.join("../../examples/data/mnist-train.parquet"))
            .arg(rows.to_string())
            .env_remove("LD_LIBRARY_PATH") // it brings its own libtorch
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut images = Images { pixels: vec![0; rows * SIZE], classes: vec![0; rows] };
        answers.read_exact(&mut images.pixels).unwrap();
        answers.read_exact(&mut images.classes).unwrap();
        (Self { child, commands, answers }, images)
    }

    /// Runs a command and returns its seconds.
    pub fn seconds(&mut self, command: &Value) -> f64 {
        writeln!(self.commands, "{command}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().parse().unwrap_or_else(|_| panic!("PyTorch failed on {command}"))
    }
}

impl Drop for PyTorch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
