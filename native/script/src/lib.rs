//! TorchScript modules whose tensors, parameters and buffers alike, can be put in place.
//!
//! tch loads and runs a module but gives no hold of its buffers. [`Module`] does, over a few lines of C++ (`script.cpp`):
//! it names all tensors as `state_dict` does and puts others in their places, which the module then computes with. It also
//! finds the modules inside for which that does not hold, and the activations that outputs come from.

mod error;
mod module;

pub use error::ScriptError;
pub use module::{FinalActivation, Module, ParameterListModule, Slot};
