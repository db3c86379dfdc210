//! TorchScript modules whose tensors, parameters and buffers alike, can be replaced.
//!
//! tch loads and runs a module but does not expose its buffers. [`Module`] does, over a few lines of C++
//! (`script.cpp`): it names all tensors as `state_dict` does and replaces them by others, with which the module then
//! computes. It also finds the submodules whose tensors cannot be replaced, and the activations that produce the
//! outputs.

mod error;
mod module;

pub use error::ScriptError;
pub use module::{FinalActivation, Module, ParameterListModule, Slot};
