//! The modules of this crate depend on each other in one direction.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may be blunt")]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate; each uses only those before it.
const ORDER: [&str; 14] = [
    "error",
    "secret",
    "model",
    "metrics",
    "wire",
    "net",
    "checkpoint",
    "store",
    "registry",
    "client",
    "shard",
    "server",
    "replay",
    "runtime",
];

fn rank(module: &str) -> usize {
    let rank = ORDER.iter().position(|known| *known == module);
    rank.unwrap_or_else(|| panic!("module '{module}' has no place in the order"))
}

/// Returns the source files in a folder and its subfolders.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Returns the modules that a source names by `crate::`.
fn used(source: &str) -> Vec<&str> {
    let paths = source.split("crate::").skip(1);
    let groups = paths.map(|path| match path.strip_prefix('{') {
        Some(group) => group.split_once('}').unwrap().0,
        None => path.split(|char: char| !char.is_alphanumeric() && char != '_').next().unwrap(),
    });
    groups.flat_map(|group| group.split(',').map(str::trim)).collect()
}

#[test]
fn a_module_uses_only_modules_before_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut edges = 0;
    for file in files(&root) {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap();
        if name == "lib.rs" {
            continue;
        }
        let module = name.split(['/', '.']).next().unwrap();
        for other in used(&fs::read_to_string(&file).unwrap()) {
            assert!(rank(other) <= rank(module), "{name}: {module} uses {other}");
            edges += 1;
        }
    }
    assert!(edges > 100, "{edges}");
}
