//! The specification of a strategy: its name and its options.

use serde::de::{self, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::OptimizerSpec;
use crate::compression::CompressionSpec;
use crate::options::OptionError;

/// Declares the strategies, each with its options and its name.
macro_rules! strategies {
    ($($(#[$meta:meta])* $strategy:ident($options:ident) = $name:literal,)*) => {
        /// The strategy and its options. An absent option takes the strategy's default; an option of another strategy
        /// is an error, unless it is null or turns off what the strategy does not have.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name", remote = "Self")]
        pub enum StrategySpec {
            $($(#[$meta])* #[serde(rename = $name)] $strategy($options),)*
        }

        impl StrategySpec {
            /// Every strategy with its defaults.
            pub fn all() -> impl Iterator<Item = Self> {
                [$(Self::$strategy($options::default()),)*].into_iter()
            }

            /// The name by which users select it.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$strategy(_) => $name,)*
                }
            }
        }
    };
}

strategies! {
    /// One worker trains alone.
    Single(NoOptions) = "single",
    /// The mean of the replicas, once an epoch.
    Averaging(NoOptions) = "averaging",
    /// Workers that train models of their own.
    Ensemble(NoOptions) = "ensemble",
    /// Asynchronous displacements.
    Downpour(DeltaOptions) = "downpour",
    /// Accumulated gradient normalisation.
    #[serde(alias = "agn")]
    Adag(DeltaOptions) = "adag",
    /// `adag` that damps late updates.
    AgnAdaptive(AgnAdaptiveOptions) = "agn-adaptive",
    /// Displacements divided by their staleness.
    DynSgd(DynSgdOptions) = "dynsgd",
    /// Asynchronous elastic averaging.
    Aeasgd(AeasgdOptions) = "aeasgd",
    /// `aeasgd` with Nesterov's momentum.
    Eamsgd(EamsgdOptions) = "eamsgd",
    /// Elastic averaging in rounds.
    Easgd(ElasticOptions) = "easgd",
    /// The mean gradient of every mini-batch.
    Sync(SyncOptions) = "sync",
    /// The mean displacement of every window.
    LocalSgd(LocalSgdOptions) = "local-sgd",
    /// `local-sgd` with an outer optimizer.
    Diloco(DilocoOptions) = "diloco",
}

/// Declares the options of strategies, all of which may be absent.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $option:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$meta])* pub $option: $kind,)*
        }
    )*};
}

options! {
    /// The options of a strategy that has none.
    NoOptions {}

    /// The compression of a strategy's exchanges. Strategies that send replicas do not compress: the small digits of a
    /// replica carry what it has learnt.
    CodingOptions {
        /// The compression of commits, with error feedback; none if absent.
        compression: Option<CompressionSpec>,
        /// True to send the center variable to the workers in the same compression, which must be `bf16` or `f16`.
        compress_pull: Option<bool>,
    }

    /// The options of `downpour` and `adag`.
    DeltaOptions {
        /// The communication window in mini-batches.
        window: Option<u32>,
        /// The factor of commits, above 0; default 1.
        scale: Option<f64>,
        /// The optimizer with which the server applies updates instead of adding them.
        server_optimizer: Option<OptimizerSpec>,
        /// True if a worker continues training during an exchange.
        overlap: Option<bool>,
        /// The compression of exchanges.
        #[serde(flatten)]
        coding: CodingOptions,
    }

    /// The options of `agn-adaptive`.
    AgnAdaptiveOptions {
        /// The communication window in mini-batches.
        window: Option<u32>,
        /// The factor of commits, above 0; default 1.
        scale: Option<f64>,
        /// The squared distance at which an update is halved, above 0.
        gamma: Option<f64>,
        /// True if a worker continues training during an exchange.
        overlap: Option<bool>,
        /// The compression of exchanges.
        #[serde(flatten)]
        coding: CodingOptions,
    }

    /// The options of `dynsgd`.
    DynSgdOptions {
        /// The communication window in mini-batches.
        window: Option<u32>,
        /// The optimizer with which the server applies updates instead of adding them.
        server_optimizer: Option<OptimizerSpec>,
        /// True if a worker continues training during an exchange.
        overlap: Option<bool>,
        /// The compression of exchanges.
        #[serde(flatten)]
        coding: CodingOptions,
    }

    /// The options of `easgd`, which all elastic strategies have.
    ElasticOptions {
        /// The communication window in mini-batches.
        window: Option<u32>,
        /// The moving rate, above 0; by default 0.9 divided by the workers, unless `rho` is given.
        alpha: Option<f64>,
        /// The elastic force, above 0: the moving rate is `rho` times the learning rate.
        rho: Option<f64>,
    }

    /// The options of `aeasgd`, which subtracts the center variable itself, so that it is not compressed.
    AeasgdOptions {
        /// The options of all elastic strategies.
        #[serde(flatten)]
        elastic: ElasticOptions,
        /// True if a worker continues training during an exchange.
        overlap: Option<bool>,
        /// The compression of commits, with error feedback; none if absent.
        compression: Option<CompressionSpec>,
    }

    /// The options of `eamsgd`.
    EamsgdOptions {
        /// The options of `aeasgd`.
        #[serde(flatten)]
        aeasgd: AeasgdOptions,
        /// The momentum of the local step, in [0, 1).
        momentum: Option<f64>,
    }

    /// The options of `sync`.
    SyncOptions {
        /// The optimizer on the server, by default that of the fit.
        server_optimizer: Option<OptimizerSpec>,
        /// The compression of exchanges.
        #[serde(flatten)]
        coding: CodingOptions,
    }

    /// The options of `local-sgd`.
    LocalSgdOptions {
        /// The communication window in mini-batches.
        window: Option<u32>,
        /// The compression of exchanges.
        #[serde(flatten)]
        coding: CodingOptions,
    }

    /// The options of `diloco`.
    DilocoOptions {
        /// The communication window in mini-batches.
        window: Option<u32>,
        /// The learning rate on the server, at least 0.
        outer_learning_rate: Option<f64>,
        /// The Nesterov momentum on the server, in [0, 1).
        outer_momentum: Option<f64>,
        /// The compression of exchanges.
        #[serde(flatten)]
        coding: CodingOptions,
    }
}

impl StrategySpec {
    /// The strategy of this name or alias with its defaults.
    ///
    /// # Errors
    /// If there is none; the text lists the known names.
    pub fn named(name: &str) -> Result<Self, de::value::Error> {
        Self::deserialize(json!({ "name": name })).map_err(|_| {
            let known: Vec<_> = Self::all().map(|spec| spec.name()).collect();
            let known = known.join(", ");
            de::Error::custom(format!("unknown strategy '{name}'; use one of {known}"))
        })
    }

    /// The compression of exchanges, without any for a strategy that has no such options.
    #[must_use]
    pub fn coding(&self) -> CodingOptions {
        match self {
            Self::Single(_) | Self::Averaging(_) | Self::Ensemble(_) | Self::Easgd(_) => {
                CodingOptions::default()
            }
            Self::Downpour(options) | Self::Adag(options) => options.coding,
            Self::AgnAdaptive(options) => options.coding,
            Self::DynSgd(options) => options.coding,
            Self::Aeasgd(options) | Self::Eamsgd(EamsgdOptions { aeasgd: options, .. }) => {
                CodingOptions { compression: options.compression, compress_pull: None }
            }
            Self::Sync(options) => options.coding,
            Self::LocalSgd(options) => options.coding,
            Self::Diloco(options) => options.coding,
        }
    }

    /// The server optimizer that is given, if there is one.
    #[must_use]
    pub fn server_optimizer(&self) -> Option<OptimizerSpec> {
        match self {
            Self::Downpour(options) | Self::Adag(options) => options.server_optimizer,
            Self::DynSgd(options) => options.server_optimizer,
            Self::Sync(options) => options.server_optimizer,
            _ => None,
        }
    }

    /// The names of all of the strategy's options in documents.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        let document = json!(self);
        let options = document.as_object().into_iter().flat_map(Map::keys);
        options.filter(|option| *option != "name").cloned().collect()
    }
}

// With `remote = "Self"` the derived implementations are the functions `Self::serialize` and `Self::deserialize`. The
// names of options are checked before, because `deny_unknown_fields` excludes `flatten`.
impl Serialize for StrategySpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for StrategySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut document = Map::deserialize(deserializer)?;
        let name = document.get("name").ok_or_else(|| D::Error::missing_field("name"))?.clone();
        let name = name.as_str().ok_or_else(|| D::Error::custom("the name is not a string"))?;
        let own = Self::named(name).map_err(D::Error::custom)?.options();
        document.retain(|option, value| {
            option == "name" || own.contains(option) || !is_without_effect(option, value)
        });
        if let Some(option) = document.keys().find(|&key| key != "name" && !own.contains(key)) {
            let own = if own.is_empty() { "none".to_owned() } else { own.join(", ") };
            let error = OptionError::new(option, format!("does not apply: it has {own}"));
            return Err(D::Error::custom(error.of("strategy", name)));
        }
        Self::deserialize(Value::Object(document))
            .map_err(|error| D::Error::custom(format!("strategy '{name}': {error}")))
    }
}

/// Returns true if the value of another strategy's option has no effect.
fn is_without_effect(option: &String, value: &Value) -> bool {
    match (option.as_str(), value) {
        (_, Value::Null) => StrategySpec::all().any(|spec| spec.options().contains(option)),
        ("overlap" | "compressPull", Value::Bool(false)) => true,
        ("compression", compression) => compression["name"] == "none",
        _ => false,
    }
}
