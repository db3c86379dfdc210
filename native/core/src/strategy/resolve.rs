//! The table of strategies.

use super::coding::coding;
use super::options::{GivenOptions, Options};
use super::{CommitSchedule, Strategy, StrategyError};
use super::{
    adag, aeasgd, agn_adaptive, averaging, diloco, downpour, dynsgd, eamsgd, easgd, ensemble,
    local_sgd, single, sync,
};
use crate::spec::{OptimizerSpec, StrategySpec};

/// How a strategy is made of its options.
type Make = fn(&Options<'_>) -> Result<Box<dyn Strategy>, StrategyError>;

/// One strategy: its name, an alias, the options that it has, and how it is made of them.
struct Entry(&'static str, Option<&'static str>, &'static [&'static str], Make);

/// The options of the strategies whose update a server optimizer can take.
const DELTA: &[&str] = &["window", "serverOptimizer", "overlap", "compression", "compressPull"];

/// Those of which the commits can be scaled as well.
const SCALED: &[&str] =
    &["window", "scale", "serverOptimizer", "overlap", "compression", "compressPull"];

const AGN_ADAPTIVE: &[&str] =
    &["window", "scale", "gamma", "overlap", "compression", "compressPull"];

/// The elastic strategies subtract the center variable itself, so it is not compressed.
const AEASGD: &[&str] = &["window", "alpha", "rho", "overlap", "compression"];

const EAMSGD: &[&str] = &["window", "alpha", "rho", "momentum", "overlap", "compression"];

const LOCAL_SGD: &[&str] = &["window", "compression", "compressPull"];

const DILOCO: &[&str] =
    &["window", "outerLearningRate", "outerMomentum", "compression", "compressPull"];

/// All strategies. Those that send replicas do not compress: a replica's small digits are what has been learnt.
const STRATEGIES: [Entry; 13] = [
    Entry("single", None, &[], |_| Ok(Box::new(single::Single))),
    Entry("averaging", None, &[], |_| Ok(Box::new(averaging::Averaging))),
    Entry("ensemble", None, &[], |_| Ok(Box::new(ensemble::Ensemble))),
    Entry("downpour", None, SCALED, |options| Ok(Box::new(downpour::Downpour(options.delta(5)?)))),
    Entry("adag", Some("agn"), SCALED, |options| Ok(Box::new(adag::Adag(options.delta(12)?)))),
    Entry("agn-adaptive", None, AGN_ADAPTIVE, |options| {
        Ok(Box::new(agn_adaptive::AgnAdaptive {
            window: options.window(12)?,
            scale: options.scale()?,
            gamma: options.positive("gamma", options.spec.gamma, 1e-4)?,
            overlap: options.overlap(),
        }))
    }),
    Entry("dynsgd", None, DELTA, |options| Ok(Box::new(dynsgd::DynSgd(options.delta(5)?)))),
    Entry("aeasgd", None, AEASGD, |options| Ok(Box::new(aeasgd::Aeasgd(options.elastic(32)?)))),
    Entry("eamsgd", None, EAMSGD, |options| {
        Ok(Box::new(eamsgd::Eamsgd {
            elastic: options.elastic(32)?,
            momentum: options.below_one("momentum", options.spec.momentum, 0.9)?,
        }))
    }),
    Entry("easgd", None, &["window", "alpha", "rho"], |options| {
        let elastic = options.elastic(32)?;
        Ok(Box::new(easgd::Easgd { elastic, learning_rate: options.learning_rate_of_rho()? }))
    }),
    Entry("sync", None, &["serverOptimizer", "compression", "compressPull"], |options| {
        Ok(Box::new(sync::SyncSgd { optimizer: options.fits_optimizer()? }))
    }),
    Entry("local-sgd", None, LOCAL_SGD, |options| {
        Ok(Box::new(local_sgd::LocalSgd { window: options.window(8)? }))
    }),
    Entry("diloco", None, DILOCO, |options| {
        Ok(Box::new(diloco::Diloco { window: options.window(50)?, outer: options.outer()? }))
    }),
];

/// The names of all strategies.
pub fn names() -> impl Iterator<Item = &'static str> {
    STRATEGIES.iter().map(|entry| entry.0)
}

/// The names of the strategies whose workers wait for each other, whatever their options.
pub fn in_rounds() -> impl Iterator<Item = &'static str> {
    // `sync` is not made without one.
    let optimizer = OptimizerSpec::Sgd {
        learning_rate: 1.0,
        momentum: 0.0,
        dampening: 0.0,
        nesterov: false,
        weight_decay: 0.0,
    };
    names().filter(move |name| {
        resolve(&StrategySpec::named(*name), Some(&optimizer))
            .is_ok_and(|strategy| matches!(strategy.commit_schedule(), CommitSchedule::Round(_)))
    })
}

fn find(name: &str) -> Result<&'static Entry, StrategyError> {
    STRATEGIES
        .iter()
        .find(|entry| entry.0 == name || entry.1 == Some(name))
        .ok_or_else(|| StrategyError::Unknown(name.to_owned()))
}

/// The strategy that a specification names. `optimizer` is the fit's, where it is known: `sync` steps with it on the server,
/// and `easgd` takes its learning rate where `rho` is given.
///
/// # Errors
/// When the name is unknown, or naming the option that the strategy does not have or that does not fit.
pub fn resolve(
    spec: &StrategySpec,
    optimizer: Option<&OptimizerSpec>,
) -> Result<Box<dyn Strategy>, StrategyError> {
    let entry = find(&spec.name)?;
    let options = Options { spec, optimizer };
    if let Some(stranger) = GivenOptions::of(spec).find(|option| !entry.2.contains(option)) {
        let has = match entry.2 {
            [] => "it has none".to_owned(),
            options => format!("it has {}", options.join(", ")),
        };
        return Err(options.error(stranger, format!("does not apply: {has}")));
    }
    coding(spec)?;
    entry.3(&options)
}

/// The specification without the options that its strategy does not have.
///
/// # Errors
/// When the name is unknown.
pub fn restrict(spec: &StrategySpec) -> Result<StrategySpec, StrategyError> {
    let entry = find(&spec.name)?;
    let mut kept = spec.clone();
    for stranger in GivenOptions::of(spec).filter(|option| !entry.2.contains(option)) {
        GivenOptions::clear(&mut kept, stranger);
    }
    Ok(kept)
}
