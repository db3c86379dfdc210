//! The table of strategies.

use super::coding::coding;
use super::option_table::*;
use super::options::Options;
use super::{Protocol, Strategy, StrategyError};
use super::{
    adag, aeasgd, agn_adaptive, averaging, diloco, downpour, dynsgd, eamsgd, easgd, ensemble,
    local_sgd, single, sync,
};
use crate::options::OptionError;
use crate::spec::{OptimizerSpec, StrategySpec};

/// The constructor of a strategy.
type Constructor = fn(&Options<'_>) -> Result<Box<dyn Strategy>, OptionError>;

/// One strategy of the table.
struct StrategyEntry {
    name: &'static str,
    alias: Option<&'static str>,
    options: &'static [StrategyOption],
    build: Constructor,
}

impl StrategyEntry {
    const fn new(
        name: &'static str,
        options: &'static [StrategyOption],
        build: Constructor,
    ) -> Self {
        Self { name, alias: None, options, build }
    }

    const fn with_alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }
}

/// The options of the strategies whose update a server optimizer can take.
const DELTA: &[StrategyOption] = &[WINDOW, SERVER_OPTIMIZER, OVERLAP, COMPRESSION, COMPRESS_PULL];

/// Those of which the commits can be scaled as well.
const SCALED: &[StrategyOption] =
    &[WINDOW, SCALE, SERVER_OPTIMIZER, OVERLAP, COMPRESSION, COMPRESS_PULL];

const AGN_ADAPTIVE: &[StrategyOption] =
    &[WINDOW, SCALE, GAMMA, OVERLAP, COMPRESSION, COMPRESS_PULL];

/// The elastic strategies subtract the center variable itself, so it is not compressed.
const AEASGD: &[StrategyOption] = &[WINDOW, ALPHA, RHO, OVERLAP, COMPRESSION];

const EAMSGD: &[StrategyOption] = &[WINDOW, ALPHA, RHO, MOMENTUM, OVERLAP, COMPRESSION];

const LOCAL_SGD: &[StrategyOption] = &[WINDOW, COMPRESSION, COMPRESS_PULL];

const DILOCO: &[StrategyOption] =
    &[WINDOW, OUTER_LEARNING_RATE, OUTER_MOMENTUM, COMPRESSION, COMPRESS_PULL];

/// All strategies. Those that send replicas do not compress: the small digits of a replica carry what it has learnt.
const STRATEGIES: [StrategyEntry; 13] = [
    StrategyEntry::new("single", &[], |_| Ok(Box::new(single::Single))),
    StrategyEntry::new("averaging", &[], |_| Ok(Box::new(averaging::Averaging))),
    StrategyEntry::new("ensemble", &[], |_| Ok(Box::new(ensemble::Ensemble))),
    StrategyEntry::new("downpour", SCALED, |options| {
        Ok(Box::new(downpour::Downpour(options.delta(5)?)))
    }),
    StrategyEntry::new("adag", SCALED, |options| Ok(Box::new(adag::Adag(options.delta(12)?))))
        .with_alias("agn"),
    StrategyEntry::new("agn-adaptive", AGN_ADAPTIVE, |options| {
        Ok(Box::new(agn_adaptive::AgnAdaptive {
            window: options.window(12)?,
            scale: options.scale()?,
            gamma: options.positive("gamma", options.spec.gamma, 1e-4)?,
            overlap: options.overlap(),
        }))
    }),
    StrategyEntry::new("dynsgd", DELTA, |options| Ok(Box::new(dynsgd::DynSgd(options.delta(5)?)))),
    StrategyEntry::new("aeasgd", AEASGD, |options| {
        Ok(Box::new(aeasgd::Aeasgd(options.elastic(32)?)))
    }),
    StrategyEntry::new("eamsgd", EAMSGD, |options| {
        Ok(Box::new(eamsgd::Eamsgd {
            elastic: options.elastic(32)?,
            momentum: options.below_one("momentum", options.spec.momentum, 0.9)?,
        }))
    }),
    StrategyEntry::new("easgd", &[WINDOW, ALPHA, RHO], |options| {
        let elastic = options.elastic(32)?;
        Ok(Box::new(easgd::Easgd { elastic, learning_rate: options.learning_rate_of_rho()? }))
    }),
    StrategyEntry::new("sync", &[SERVER_OPTIMIZER, COMPRESSION, COMPRESS_PULL], |options| {
        Ok(Box::new(sync::SyncSgd { optimizer: options.fits_optimizer()? }))
    }),
    StrategyEntry::new("local-sgd", LOCAL_SGD, |options| {
        Ok(Box::new(local_sgd::LocalSgd { window: options.window(8)? }))
    }),
    StrategyEntry::new("diloco", DILOCO, |options| {
        Ok(Box::new(diloco::Diloco { window: options.window(50)?, outer: options.outer()? }))
    }),
];

/// The names of all strategies.
pub fn names() -> impl Iterator<Item = &'static str> {
    STRATEGIES.iter().map(|entry| entry.name)
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
    names().filter(move |name| {
        resolve(&StrategySpec::named(*name), Some(&optimizer))
            .is_ok_and(|strategy| matches!(strategy.protocol(), Protocol::Rounds { .. }))
    })
}

fn find(name: &str) -> Result<&'static StrategyEntry, StrategyError> {
    STRATEGIES.iter().find(|entry| entry.name == name || entry.alias == Some(name)).ok_or_else(
        || StrategyError::Unknown {
            name: name.to_owned(),
            known: names().collect::<Vec<_>>().join(", "),
        },
    )
}

/// Builds the strategy of a specification. `optimizer` is the fit's, if it is known: `sync` runs it on the server, and
/// `easgd` takes its learning rate for `rho`.
///
/// # Errors
/// An error for an unknown name, or one that names the option that does not apply or fit.
pub fn resolve(
    spec: &StrategySpec,
    optimizer: Option<&OptimizerSpec>,
) -> Result<Box<dyn Strategy>, StrategyError> {
    let entry = find(&spec.name)?;
    let options = Options { spec, optimizer };
    if let Some(foreign) = StrategyOption::foreign(spec, entry.options).next() {
        let own: Vec<_> = entry.options.iter().map(|option| option.name).collect();
        let own = if own.is_empty() { "none".to_owned() } else { own.join(", ") };
        let problem = format!("does not apply: it has {own}");
        return Err(options.error(foreign.name, problem).into());
    }
    coding(spec)?;
    Ok((entry.build)(&options)?)
}

/// The specification without the options that its strategy does not have.
///
/// # Errors
/// When the name is unknown.
pub fn restrict(spec: &StrategySpec) -> Result<StrategySpec, StrategyError> {
    let entry = find(&spec.name)?;
    let mut kept = spec.clone();
    for foreign in StrategyOption::foreign(spec, entry.options) {
        foreign.clear(&mut kept);
    }
    Ok(kept)
}
