//! Modules that PyTorch scripts at test time.

use std::sync::{Arc, OnceLock};

use firesteel_core::spec::{
    DataSpec, ElementType, LabelSpec, NetworkDocument, TORCHSCRIPT_FORMAT, TensorKind,
    TorchScriptInput, TorchScriptSpec, WorkerSpec,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::clouds_fit::{CLASSES, tuned};
use super::{dense, python, worker_spec};

/// The answer of PyTorch to a case.
#[derive(Deserialize)]
pub struct Answer {
    pub before: Vec<State>,
    pub after: Vec<State>,
    pub outputs: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
pub struct State {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

/// The modules of these requests as PyTorch saved them, and what it computed.
pub fn pytorch(requests: Vec<Value>) -> Vec<(Arc<Vec<u8>>, Answer)> {
    let folder = tempfile::tempdir().unwrap();
    let path = |index: usize| folder.path().join(format!("{index}.pt"));
    let mut requests = requests;
    for (index, request) in requests.iter_mut().enumerate() {
        request["path"] = json!(path(index));
    }
    let answers: Vec<Answer> =
        serde_json::from_slice(&python::answer("torchscript.py", &json!(requests))).unwrap();
    let read = |(index, answer)| (Arc::new(std::fs::read(path(index)).unwrap()), answer);
    answers.into_iter().enumerate().map(read).collect()
}

pub fn document(
    archive: &Arc<Vec<u8>>,
    inputs: &[TensorKind],
    outputs: &[&str],
) -> NetworkDocument {
    let input = |(index, &kind): (usize, &TensorKind)| TorchScriptInput {
        name: format!("in{index}"),
        kind,
    };
    TorchScriptSpec {
        format: TORCHSCRIPT_FORMAT.to_owned(),
        inputs: inputs.iter().enumerate().map(input).collect(),
        outputs: outputs.iter().map(|&name| name.to_owned()).collect(),
        sha256: "a hash".to_owned(),
        module: Some(Arc::clone(archive)),
    }
    .into()
}

/// The modules that tests use without data of their own; PyTorch is started once for all of them.
const SAVED: [&str; 14] = [
    "perceptron",
    "dropping",
    "frozen",
    "tied",
    "mlp",
    "double",
    "wide and deep",
    "LSTM",
    "GRU",
    "RNN",
    "cells",
    "softmax",
    "log softmax",
    "functional",
];

/// The archive of one of the modules of `torchscript.py`.
pub fn saved(module: &str) -> Arc<Vec<u8>> {
    static ARCHIVES: OnceLock<Vec<Arc<Vec<u8>>>> = OnceLock::new();
    let archives = ARCHIVES.get_or_init(|| {
        let requests = SAVED.iter().map(|module| json!({"module": module})).collect();
        pytorch(requests).into_iter().map(|(archive, _)| archive).collect()
    });
    let index = SAVED.iter().position(|known| *known == module).unwrap();
    Arc::clone(&archives[index])
}

pub fn cloud_spec(name: &str, archive: &Arc<Vec<u8>>) -> WorkerSpec {
    let label = LabelSpec { column: "label".to_owned(), kind: CLASSES };
    let data = DataSpec {
        inputs: vec![dense("in0", &[4], ElementType::F32)],
        labels: vec![label],
        weight: None,
        validation: None,
    };
    let network = document(archive, &[TensorKind::Float32], &["logits"]);
    tuned(worker_spec(network, data, name), 12)
}
