//! The construction of strategies.

use super::coding::coding;
use super::delta::Delta;
use super::elastic::Elastic;
use super::options::{number, server_optimizer, window};
use super::{Protocol, Strategy};
use super::{
    adag, aeasgd, agn_adaptive, averaging, diloco, downpour, dynsgd, eamsgd, easgd, ensemble,
    local_sgd, single, sync,
};
use crate::options::{OptionError, Range};
use crate::spec::{OptimizerSpec, StrategySpec};

/// The names of all strategies.
pub fn names() -> impl Iterator<Item = &'static str> {
    StrategySpec::all().map(|spec| spec.name())
}

/// The names of the strategies whose workers wait for each other, whatever their options.
pub fn in_rounds() -> impl Iterator<Item = &'static str> {
    // `sync` needs an optimizer.
    let optimizer = OptimizerSpec::Sgd {
        learning_rate: 1.0,
        momentum: 0.0,
        dampening: 0.0,
        nesterov: false,
        weight_decay: 0.0,
    };
    let in_rounds = move |spec: &StrategySpec| {
        resolve(spec, Some(&optimizer))
            .is_ok_and(|strategy| matches!(strategy.protocol(), Protocol::Rounds { .. }))
    };
    StrategySpec::all().filter(in_rounds).map(|spec| spec.name())
}

/// Builds the strategy of a specification. `optimizer` is the fit's, if it is known: `sync` runs it on the server, and
/// `easgd` takes its learning rate for `rho`.
///
/// # Errors
/// An error that names the strategy and the option that does not fit.
pub fn resolve(
    spec: &StrategySpec,
    optimizer: Option<&OptimizerSpec>,
) -> Result<Box<dyn Strategy>, OptionError> {
    coding(spec)?;
    build(spec, optimizer).map_err(|error| error.of("strategy", spec.name()))
}

fn build(
    spec: &StrategySpec,
    optimizer: Option<&OptimizerSpec>,
) -> Result<Box<dyn Strategy>, OptionError> {
    let elastic = |options, overlap| Elastic::new(options, overlap, optimizer);
    Ok(match spec {
        StrategySpec::Single(_) => Box::new(single::Single),
        StrategySpec::Averaging(_) => Box::new(averaging::Averaging),
        StrategySpec::Ensemble(_) => Box::new(ensemble::Ensemble),
        StrategySpec::Downpour(options) => Box::new(downpour::Downpour(Delta::new(options, 5)?)),
        StrategySpec::Adag(options) => Box::new(adag::Adag(Delta::new(options, 12)?)),
        StrategySpec::AgnAdaptive(options) => Box::new(agn_adaptive::AgnAdaptive {
            window: window(options.window, 12)?,
            scale: number("scale", options.scale, 1.0, Range::POSITIVE_F32)? as f32,
            gamma: number("gamma", options.gamma, 1e-4, Range::POSITIVE_F32)?,
            overlap: options.overlap == Some(true),
        }),
        StrategySpec::DynSgd(options) => Box::new(dynsgd::DynSgd(Delta {
            window: window(options.window, 5)?,
            overlap: options.overlap == Some(true),
            scale: 1.0,
            optimizer: options.server_optimizer.as_ref().map(server_optimizer).transpose()?,
        })),
        StrategySpec::Aeasgd(options) => {
            Box::new(aeasgd::Aeasgd(elastic(&options.elastic, options.overlap)?))
        }
        StrategySpec::Eamsgd(options) => Box::new(eamsgd::Eamsgd {
            elastic: elastic(&options.aeasgd.elastic, options.aeasgd.overlap)?,
            momentum: number("momentum", options.momentum, 0.9, Range::BELOW_ONE)?,
        }),
        StrategySpec::Easgd(options) => Box::new(easgd::Easgd {
            elastic: elastic(options, None)?,
            learning_rate: easgd::learning_rate(options, optimizer)?,
        }),
        StrategySpec::Sync(options) => {
            let given = options.server_optimizer.as_ref().or(optimizer);
            let problem = "must be given, since the fit has no optimizer";
            let spec = given.ok_or_else(|| OptionError::new("serverOptimizer", problem))?;
            Box::new(sync::SyncSgd { optimizer: server_optimizer(spec)? })
        }
        StrategySpec::LocalSgd(options) => {
            Box::new(local_sgd::LocalSgd { window: window(options.window, 8)? })
        }
        StrategySpec::Diloco(options) => Box::new(diloco::Diloco {
            window: window(options.window, 50)?,
            outer: diloco::outer_optimizer(options)?,
        }),
    })
}
