//! A network as it crosses the boundary: a graph of layers, or a TorchScript module.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::{NETWORK_FORMAT, NetworkSpec};

/// The value of [`TorchScriptSpec::format`] that this version reads and writes.
pub const TORCHSCRIPT_FORMAT: &str = "firesteel.torchscript/1";

/// A network in one of the supported forms, distinguished by its `format`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum NetworkDocument {
    /// A graph of standard layers.
    Layers(NetworkSpec),
    /// A TorchScript module.
    TorchScript(TorchScriptSpec),
}

/// A module written by `torch.jit.save`. The archive travels beside the document, not in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TorchScriptSpec {
    /// Always [`TORCHSCRIPT_FORMAT`].
    pub format: String,
    /// The arguments of its `forward`, in order.
    pub inputs: Vec<TorchScriptInput>,
    /// The names of the results of its `forward`, in order.
    pub outputs: Vec<String>,
    /// The SHA-256 of the archive in hexadecimal digits, under which a process shares the module.
    pub sha256: String,
    /// The archive.
    #[serde(skip)]
    pub module: Option<Arc<Vec<u8>>>,
}

/// A tensor that a module takes; its first dimension is the batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TorchScriptInput {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    #[serde(rename = "type")]
    pub kind: TensorKind,
}

/// The type of the elements that a module takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TensorKind {
    /// f32.
    Float32,
    /// i64: token ids, indices.
    Int64,
}

impl NetworkDocument {
    /// Returns the hash of the archive that must accompany the document, if any.
    #[must_use]
    pub fn module_hash(&self) -> Option<&str> {
        match self {
            Self::Layers(_) => None,
            Self::TorchScript(spec) => Some(&spec.sha256),
        }
    }

    /// The names of the outputs, in order.
    #[must_use]
    pub fn outputs(&self) -> &[String] {
        match self {
            Self::Layers(spec) => &spec.outputs,
            Self::TorchScript(spec) => &spec.outputs,
        }
    }

    /// Sets the archive that accompanied the document.
    pub fn set_module(&mut self, archive: Arc<Vec<u8>>) {
        if let Self::TorchScript(spec) = self {
            spec.module = Some(archive);
        }
    }
}

impl From<NetworkSpec> for NetworkDocument {
    fn from(spec: NetworkSpec) -> Self {
        Self::Layers(spec)
    }
}

impl From<TorchScriptSpec> for NetworkDocument {
    fn from(spec: TorchScriptSpec) -> Self {
        Self::TorchScript(spec)
    }
}

impl<'de> Deserialize<'de> for NetworkDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let format = value.get("format").and_then(Value::as_str).unwrap_or_default().to_owned();
        match format.as_str() {
            NETWORK_FORMAT => serde_json::from_value(value).map(Self::Layers),
            TORCHSCRIPT_FORMAT => serde_json::from_value(value).map(Self::TorchScript),
            other => {
                return Err(de::Error::custom(format!(
                    "the network has the format '{other}'; this version reads '{NETWORK_FORMAT}' and \
                     '{TORCHSCRIPT_FORMAT}'"
                )));
            }
        }
        .map_err(de::Error::custom)
    }
}

impl fmt::Debug for TorchScriptSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TorchScriptSpec")
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_document_is_read_by_its_format_and_written_as_it_was() {
        let layers = json!({
            "format": "firesteel.network/1", "inputs": ["x"],
            "nodes": [{"name": "0", "op": "ReLU", "inputs": ["x"], "args": {}}], "outputs": ["0"],
        });
        let document: NetworkDocument = from_value(layers.clone()).unwrap();
        assert!(matches!(&document, NetworkDocument::Layers(spec) if spec.nodes.len() == 1));
        assert_eq!((document.module_hash(), json!(document)), (None, layers));

        let script = json!({
            "format": "firesteel.torchscript/1",
            "inputs": [{"name": "ids", "type": "int64"}, {"name": "x", "type": "float32"}],
            "outputs": ["logits"], "sha256": "00ff",
        });
        let mut document: NetworkDocument = from_value(script.clone()).unwrap();
        assert_eq!(document.module_hash(), Some("00ff"));
        document.set_module(Arc::new(vec![1, 2]));
        assert!(!format!("{document:?}").contains("module"), "the bytes are no text for people");
        assert_eq!(json!(document), script);
    }

    #[test]
    fn an_unknown_format_and_an_unknown_field_are_named() {
        let error = |value| from_value::<NetworkDocument>(value).unwrap_err().to_string();
        let text = error(json!({"format": "other/3"}));
        assert!(text.contains("'other/3'") && text.contains("'firesteel.torchscript/1'"), "{text}");
        let text = error(json!({"format": "firesteel.torchscript/1", "layers": []}));
        assert!(text.contains("layers"), "{text}");
    }
}
