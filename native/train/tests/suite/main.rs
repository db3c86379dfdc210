//! One program for the tests of training and prediction: each program links libtorch once more.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may be blunt")]

mod compression;
mod controls;
mod learning;
mod network_faults;
mod optimizers;
mod prediction;
#[allow(dead_code, reason = "the tests of the server use the rest")]
#[path = "../../../ps/tests/suite/support/proxy.rs"]
mod proxy;
mod sparse;
mod steering;
mod strategies;
mod support;
mod torchscript;
mod training;
mod validation;
