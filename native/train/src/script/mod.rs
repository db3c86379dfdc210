//! A TorchScript module as a network: its tensors and output shapes.

mod network;
mod placements;

use std::sync::Arc;

use firesteel_core::ParamLayout;
use firesteel_core::spec::{TORCHSCRIPT_FORMAT, TensorKind, TorchScriptInput, TorchScriptSpec};
use firesteel_script::{FinalActivation, Module, ParameterListModule, ScriptError};
use tch::{Device, Kind, Tensor, no_grad_guard};

use self::network::ScriptNetwork;
use self::placements::TensorPlacements;
use crate::error::TrainError;
use crate::model::{
    Activation, Definition, InputInspection, InputShape, Inspection, OutputInspection, Weights,
    show,
};
use crate::network::{Network, NetworkDefinition};
use crate::raw::{dimension, lengths};
use crate::weights::weight_bytes;

/// The number of rows of the probe that finds the output shapes: more than one, since some modules treat a single row
/// as no batch.
const PROBE_ROWS: usize = 2;

/// A module with every shape known. It holds the archive, from which each network loads its own module.
pub(crate) struct Script {
    archive: Arc<Vec<u8>>,
    inputs: Vec<InputShape>,
    outputs: Vec<OutputInspection>,
    placements: TensorPlacements,
}

impl Script {
    /// The module of a specification, with the shape of a row of each input.
    pub(crate) fn load(
        spec: &TorchScriptSpec,
        shapes: &[(&str, &[usize])],
    ) -> Result<Self, TrainError> {
        if spec.format != TORCHSCRIPT_FORMAT {
            return Err(TrainError::InvalidSpec(format!(
                "the network has the format '{}'; this version reads '{TORCHSCRIPT_FORMAT}'",
                spec.format
            )));
        }
        let archive = spec.module.clone().ok_or_else(|| {
            TrainError::Internal("the archive of the TorchScript module is missing".to_owned())
        })?;
        let inputs = inputs(spec, shapes)?;
        let module = open(&archive)?;
        check_lists(&module)?;
        let placements = TensorPlacements::of(&module)?;
        let outputs = probe(&module, &inputs, &spec.outputs)?;
        Ok(Self { archive, inputs, outputs, placements })
    }
}

impl Definition for Script {
    fn inputs(&self) -> &[InputShape] {
        &self.inputs
    }

    fn layout(&self) -> &ParamLayout {
        self.placements.layout()
    }

    /// All trained parameters.
    fn requires_grad(&self) -> Vec<bool> {
        let parameter = firesteel_core::BufferKind::Parameter;
        self.layout().entries().iter().map(|entry| entry.kind == parameter).collect()
    }

    /// The weights that the module was saved with, for any seed.
    fn initial(&self, _: u64) -> Result<Weights, TrainError> {
        self.placements.values(&open(&self.archive)?)
    }

    fn inspect(&self) -> Inspection {
        Inspection {
            layers: Vec::new(),
            inputs: self.inputs.iter().map(InputInspection::of).collect(),
            outputs: self.outputs.clone(),
            parameters: self.layout().parameters() as u64,
            weight_bytes: weight_bytes(self.layout()),
            layout_hash: format!("{:016x}", self.layout().hash()),
            autograd: Some("a TorchScript module has no plan".to_owned()),
        }
    }
}

impl NetworkDefinition for Script {
    fn network(&self) -> Result<Box<dyn Network>, TrainError> {
        let outputs = self.outputs.iter().map(|output| output.name.clone()).collect();
        Ok(Box::new(ScriptNetwork::new(open(&self.archive)?, self.placements.clone(), outputs)))
    }
}

/// Refuses a module with a layer whose tensors training does not reach.
fn check_lists(module: &Module) -> Result<(), TrainError> {
    let Some(ParameterListModule { name, kind }) = module.parameter_list_modules().first() else {
        return Ok(());
    };
    let layer = if name.is_empty() { String::new() } else { format!("layer '{name}' of ") };
    Err(TrainError::InvalidSpec(format!(
        "{layer}the TorchScript module has the type {kind} and would not learn: TorchScript runs it on a list of its \
         parameters, which training does not reach; use a loop over {kind}Cell, or the layers LSTM and GRU of a \
         firesteel.Network"
    )))
}

fn open(archive: &[u8]) -> Result<Module, TrainError> {
    Module::load(archive).map_err(|error| {
        TrainError::InvalidSpec(format!("the TorchScript module cannot be read: {error}"))
    })
}

/// The module's inputs with their shapes.
fn inputs(
    spec: &TorchScriptSpec,
    shapes: &[(&str, &[usize])],
) -> Result<Vec<InputShape>, TrainError> {
    let invalid = |text: String| Err(TrainError::InvalidSpec(text));
    let names = || spec.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>();
    for named in [names(), spec.outputs.iter().map(String::as_str).collect()] {
        let twice =
            |(index, name): &(usize, &&str)| name.is_empty() || named[..*index].contains(name);
        if let Some((_, name)) = named.iter().enumerate().find(twice) {
            return invalid(format!(
                "the name '{name}' in the TorchScript network is empty or used twice"
            ));
        }
    }
    if let Some((extra, _)) = shapes.iter().find(|(name, _)| !names().contains(name)) {
        let known = names().join(", ");
        return invalid(format!("the network has no input '{extra}'; it has {known}"));
    }
    spec.inputs.iter().map(|named| input(named, shapes)).collect()
}

fn input(
    TorchScriptInput { name, kind }: &TorchScriptInput,
    shapes: &[(&str, &[usize])],
) -> Result<InputShape, TrainError> {
    let (_, shape) = shapes.iter().find(|(known, _)| known == name).ok_or_else(|| {
        TrainError::InvalidSpec(format!("input '{name}' of the network has no column"))
    })?;
    if shape.iter().product::<usize>() == 0 {
        return Err(TrainError::InvalidSpec(format!(
            "input '{name}' has the shape {}, but a row needs at least one dimension, each of at least 1",
            show(shape)
        )));
    }
    let integer = *kind == TensorKind::Int64;
    Ok(InputShape {
        name: name.clone(),
        shape: shape.to_vec(),
        integer,
        tokens: None,
        sparse: false,
    })
}

/// Runs a module on zeros and returns its outputs.
fn probe(
    module: &Module,
    inputs: &[InputShape],
    names: &[String],
) -> Result<Vec<OutputInspection>, TrainError> {
    let _guard = no_grad_guard();
    let zeros = |input: &InputShape| {
        let kind = if input.integer { Kind::Int64 } else { Kind::Float };
        let mut shape = vec![dimension(PROBE_ROWS)?];
        shape.extend(lengths(&input.shape)?);
        Ok(Tensor::f_zeros(shape, (kind, Device::Cpu))?)
    };
    let zeros = inputs.iter().map(zeros).collect::<Result<Vec<_>, TrainError>>()?;
    let run = || {
        module.set_training(false)?;
        module.forward(&zeros.iter().collect::<Vec<_>>())
    };
    let found = run().map_err(|error: ScriptError| {
        let shapes: Vec<String> = inputs
            .iter()
            .zip(&zeros)
            .map(|(input, zeros)| format!("'{}' {:?}", input.name, zeros.size()))
            .collect();
        TrainError::InvalidSpec(format!(
            "the TorchScript module does not take {PROBE_ROWS} rows of zeros, {}: {error}",
            shapes.join(", ")
        ))
    })?;
    check_count(found.len(), names)?;
    // The code may build its tuple without showing the activations.
    let activations = if module.final_activations().len() == names.len() {
        module.final_activations()
    } else {
        &[]
    };
    let activations = activations.iter().copied().chain(std::iter::repeat(None));
    let outputs = names.iter().zip(&found).zip(activations);
    outputs
        .map(|((name, tensor), final_activation)| output(name, tensor, final_activation))
        .collect()
}

fn check_count(found: usize, names: &[String]) -> Result<(), TrainError> {
    if found == names.len() {
        return Ok(());
    }
    Err(TrainError::InvalidSpec(format!(
        "the TorchScript module returns {found} tensor(s), but the network has {} output(s): {}",
        names.len(),
        names.join(", ")
    )))
}

fn output(
    name: &str,
    tensor: &Tensor,
    final_activation: Option<FinalActivation>,
) -> Result<OutputInspection, TrainError> {
    let (size, kind) = (tensor.size(), tensor.f_kind()?);
    let rows = dimension(PROBE_ROWS)?;
    if kind != Kind::Float || size.len() < 2 || size[0] != rows || size.contains(&0) {
        return Err(TrainError::InvalidSpec(format!(
            "output '{name}' of the TorchScript module is {kind:?} {size:?} for {rows} rows; it must be Float and have \
             the shape [rows, values]"
        )));
    }
    let shape = size[1..].iter().map(|&length| length.unsigned_abs() as usize).collect();
    Ok(OutputInspection {
        name: name.to_owned(),
        shape,
        activation: Activation::None,
        final_activation,
    })
}
