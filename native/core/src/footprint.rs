//! The bytes that a fit needs, in memory on the driver and in a task, and as whole arrays.
//!
//! The formula counts vectors of the length of the parameters; `docs/memory.md` shows it as a table. It omits the
//! memory that depends on the data and the mini-batch (blocks, activations) and that of the library itself, so it is a
//! lower bound.

use serde::{Deserialize, Serialize};

use crate::optimizer;
use crate::options::OptionError;
use crate::spec::{ControlSpec, OptimizerSpec, StrategySpec};
use crate::strategy::{Protocol, ServerRule, resolve};

/// The length of the probe vectors: the number of state values of a parameter is a whole number.
const PROBE: usize = 64;

/// The properties of a fit that determine its size.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FootprintSpec {
    /// The number of trained parameters.
    pub parameters: u64,
    /// The bytes of one model as it is saved, parameters and buffers.
    pub weight_bytes: u64,
    /// The strategy.
    pub strategy: StrategySpec,
    /// The fit's optimizer.
    pub optimizer: OptimizerSpec,
    /// The training controls.
    #[serde(default)]
    pub controls: ControlSpec,
    /// All workers of the fit.
    pub workers: u32,
}

/// The bytes that a fit needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Footprint {
    /// The number of models in the trained weights: the members of an ensemble, else 1.
    pub models: u64,
    /// The trained weights as they are saved.
    pub weights: u64,
    /// A checkpoint.
    pub checkpoint: u64,
    /// The parameter server's memory, including the weights that it hands over at the end.
    pub server: u64,
    /// The memory that the workers of a task share.
    pub task: u64,
    /// The memory of each worker.
    pub worker: u64,
}

impl Footprint {
    /// Computes the footprint of a fit.
    ///
    /// # Errors
    /// As [`resolve`] and [`optimizer::build`].
    pub fn of(spec: &FootprintSpec) -> Result<Self, OptionError> {
        let strategy = resolve(&spec.strategy, Some(&spec.optimizer))?;
        let workers = u64::from(spec.workers);
        let keeps_members = strategy.protocol().keeps_members();
        let models = if keeps_members { workers } else { 1 };
        let best = if spec.controls.stopping.restore_best { models } else { 0 };
        let members = if keeps_members { models } else { 0 };
        let rule = strategy.server(PROBE, spec.workers);
        let state = (rule.state().values.len() / PROBE) as u64;
        let bytes = |vectors: u64| vectors.saturating_mul(4).saturating_mul(spec.parameters);
        let saved = |models: u64| models.saturating_mul(spec.weight_bytes);
        let weights = saved(models);
        let held = bytes(state + server_vectors(strategy.protocol(), &rule, spec))
            .saturating_add(saved(2 + members + best));
        let optimizer = optimizer::build(&spec.optimizer, PROBE)?;
        let moments = (optimizer.state().values.len() / PROBE) as u64;
        Ok(Self {
            models,
            weights,
            checkpoint: bytes(state).saturating_add(saved(1 + members + best)),
            // At the end the models are copied out of the store and written to one array.
            server: held.saturating_add(weights.saturating_mul(2)),
            // The gradient, the center variable and the message.
            task: bytes(3),
            worker: bytes(moments + worker_vectors(strategy.protocol(), spec))
                .saturating_add(saved(1)),
        })
    }
}

/// The server's vectors beside two copies of the center variable, the rules' state and whole models.
fn server_vectors(protocol: Protocol, rule: &ServerRule, spec: &FootprintSpec) -> u64 {
    let workers = u64::from(spec.workers);
    let round = matches!(rule, ServerRule::Round(_));
    let gradient = round || spec.strategy.server_optimizer().is_some();
    let norm = protocol.steps_on_server() && spec.controls.clipping.norm.is_some();
    u64::from(gradient)
        + u64::from(norm)
        + u64::from(protocol.returns_former_center())
        // The contributions of the open round.
        + if round { workers } else { 0 }
        // Every worker's last pull, and the center variable of a worker that has not pulled.
        + if protocol.remembers_pulls() { workers + 1 } else { 0 }
}

/// A worker's vectors beside its replica and the moments of its optimizer.
fn worker_vectors(protocol: Protocol, spec: &FootprintSpec) -> u64 {
    // The center variable that the rule compares the replica with.
    let rule = u64::from(matches!(protocol, Protocol::Asynchronous { .. }));
    // The message and the center variable of a running exchange.
    let exchange = if protocol.overlaps() { 2 } else { 0 };
    // The residual of compression.
    let residual = u64::from(spec.strategy.coding().compression.is_some());
    rule + exchange + residual
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::spec::NoOptions;

    fn footprint(workers: u32, strategy: Value, controls: Value) -> Footprint {
        let spec = json!({
            "parameters": 1000,
            "weightBytes": 5000,
            "strategy": strategy,
            "optimizer": {
                "name": "adam", "learningRate": 0.001, "beta1": 0.9, "beta2": 0.999,
                "epsilon": 1e-8, "weightDecay": 0.0, "amsgrad": false,
            },
            "controls": controls,
            "workers": workers,
        });
        Footprint::of(&serde_json::from_value(spec).unwrap()).unwrap()
    }

    #[test]
    fn an_asynchronous_fit_needs_as_much_on_the_driver_however_many_workers_it_has() {
        let expected = Footprint {
            models: 1,
            weights: 5000,
            checkpoint: 5000,
            server: 4 * 5000,
            task: 3 * 4000,
            // Replica; two moments, anchor.
            worker: 5000 + 3 * 4000,
        };
        assert_eq!(footprint(2, json!({"name": "downpour"}), json!({})), expected);
        assert_eq!(footprint(200, json!({"name": "downpour"}), json!({})), expected);
        let overlap = footprint(2, json!({"name": "downpour", "overlap": true}), json!({}));
        assert_eq!(overlap.worker, expected.worker + 2 * 4000, "two vectors of the exchange");
    }

    #[test]
    fn a_round_keeps_the_contributions_of_all_workers_and_sync_the_moments_on_the_driver() {
        let sync = footprint(8, json!({"name": "sync"}), json!({}));
        assert_eq!(sync.checkpoint, 5000 + 2 * 4000);
        assert_eq!(sync.server, 4 * 5000 + (2 + 1 + 8) * 4000);
        assert_eq!(sync.worker, 5000 + 2 * 4000);
    }

    #[test]
    fn the_members_of_an_ensemble_and_the_last_pulls_of_agn_adaptive_count_by_worker() {
        let ensemble = footprint(20, json!({"name": "ensemble"}), json!({}));
        assert_eq!((ensemble.models, ensemble.weights), (20, 20 * 5000));
        assert_eq!(ensemble.checkpoint, 21 * 5000);
        assert_eq!(ensemble.server, (2 + 20 + 2 * 20) * 5000);
        let adaptive = |workers| footprint(workers, json!({"name": "agn-adaptive"}), json!({}));
        assert_eq!(adaptive(9).server - adaptive(4).server, 5 * 4000);
    }

    #[test]
    fn sizes_past_any_memory_do_not_overflow() {
        let spec = FootprintSpec {
            parameters: u64::MAX / 2,
            weight_bytes: u64::MAX,
            strategy: StrategySpec::Ensemble(NoOptions {}),
            optimizer: OptimizerSpec::Sgd {
                learning_rate: 0.1,
                momentum: 0.0,
                dampening: 0.0,
                nesterov: false,
                weight_decay: 0.0,
            },
            controls: ControlSpec::default(),
            workers: u32::MAX,
        };
        assert_eq!(Footprint::of(&spec).unwrap().weights, u64::MAX);
    }
}
