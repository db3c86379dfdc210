//! A TorchScript module, over `script.cpp`.
#![expect(unsafe_code, reason = "calls into C++")]

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::ptr::{NonNull, null_mut};

use tch::Tensor;

use crate::error::ScriptError;

/// A loaded module, for one thread at a time.
#[derive(Debug)]
pub struct Module {
    script: NonNull<c_void>,
    slots: Vec<Slot>,
    parameter_list_modules: Vec<ParameterListModule>,
    final_activations: Vec<Option<FinalActivation>>,
    /// A module may move to another thread, but two threads must not use it at once.
    not_sync: PhantomData<*const ()>,
}

/// The slot of one tensor of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The tensor's name in `state_dict`, such as `layers.0.weight`.
    pub name: String,
    /// True for a parameter, false for a buffer.
    pub parameter: bool,
}

/// A submodule that computes with a list of its parameters: one of PyTorch's recurrent layers. A tensor that replaces
/// one of its parameters does not reach that list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterListModule {
    /// Its name, such as `encoder.memory`; empty for the whole module.
    pub name: String,
    /// Its class, such as `LSTM`.
    pub kind: String,
}

/// The activation that produces an output of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalActivation {
    /// The logistic function.
    Sigmoid,
    /// Softmax.
    Softmax,
    /// The logarithm of Softmax.
    LogSoftmax,
}

impl FinalActivation {
    fn read(name: &str) -> Option<Self> {
        match name {
            "sigmoid" => Some(Self::Sigmoid),
            "softmax" => Some(Self::Softmax),
            "log_softmax" => Some(Self::LogSoftmax),
            _ => None,
        }
    }
}

// SAFETY: nothing in a module belongs to a thread, and `Module` is not `Sync`.
unsafe impl Send for Module {}

impl Module {
    /// Loads a module from the bytes of an archive that `torch.jit.save` wrote, onto the CPU.
    ///
    /// # Errors
    /// [`ScriptError`] if the bytes are not a module.
    pub fn load(archive: &[u8]) -> Result<Self, ScriptError> {
        let mut script = null_mut();
        // SAFETY: the bytes are readable for the call, and `script` is written only where there is no error.
        check(unsafe {
            firesteel_script_load(archive.as_ptr().cast(), archive.len(), &raw mut script)
        })?;
        let script = NonNull::new(script).ok_or_else(|| ScriptError::new("no module"))?;
        let mut module = Self {
            script,
            slots: Vec::new(),
            parameter_list_modules: Vec::new(),
            final_activations: Vec::new(),
            not_sync: PhantomData,
        };
        let script = script.as_ptr();
        // SAFETY: the module is alive, and every index is below the count; a text lives as long as the module.
        unsafe {
            for index in 0..firesteel_script_count(script) {
                module.slots.push(Slot {
                    name: owned(firesteel_script_name(script, index)),
                    parameter: firesteel_script_is_parameter(script, index),
                });
            }
            for index in 0..firesteel_script_listed_count(script) {
                module.parameter_list_modules.push(ParameterListModule {
                    name: owned(firesteel_script_listed_name(script, index)),
                    kind: owned(firesteel_script_listed_kind(script, index)),
                });
            }
            for index in 0..firesteel_script_ending_count(script) {
                module
                    .final_activations
                    .push(FinalActivation::read(&owned(firesteel_script_ending(script, index))));
            }
        }
        Ok(module)
    }

    /// Returns the slots of its tensors in the order of `state_dict`. A tensor that several names share has several
    /// slots.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Returns the submodules that compute with a list of their parameters.
    #[must_use]
    pub fn parameter_list_modules(&self) -> &[ParameterListModule] {
        &self.parameter_list_modules
    }

    /// Returns the activation that produces each tensor of `forward`'s result, applied by a submodule or a function;
    /// `None` if the code does not show it, such as for a tuple that another function makes.
    #[must_use]
    pub fn final_activations(&self) -> &[Option<FinalActivation>] {
        &self.final_activations
    }

    /// Returns the current tensor of a slot; it shares the module's memory.
    ///
    /// # Errors
    /// [`ScriptError`] if there is no such slot.
    pub fn tensor(&self, slot: usize) -> Result<Tensor, ScriptError> {
        self.check_slot(slot)?;
        let mut tensor = null_mut();
        // SAFETY: the place exists, and what is written is a new tensor that the caller owns.
        unsafe {
            check(firesteel_script_get(self.script.as_ptr(), slot, &raw mut tensor))?;
            Ok(Tensor::from_ptr(tensor.cast()))
        }
    }

    /// Replaces the tensor of a slot, without a copy: the module computes with it from now on.
    ///
    /// # Errors
    /// [`ScriptError`] if there is no such slot.
    pub fn set_tensor(&self, slot: usize, tensor: &Tensor) -> Result<(), ScriptError> {
        self.check_slot(slot)?;
        // SAFETY: the place exists, and the module takes a reference of its own.
        check(unsafe { firesteel_script_set(self.script.as_ptr(), slot, tensor.as_ptr().cast()) })
    }

    /// Switches the module and all submodules to training or evaluation mode.
    ///
    /// # Errors
    /// [`ScriptError`] if the module fails.
    pub fn set_training(&self, training: bool) -> Result<(), ScriptError> {
        // SAFETY: the module is alive.
        check(unsafe { firesteel_script_train(self.script.as_ptr(), training) })
    }

    /// Runs `forward` and returns its results: one tensor, or those of a tuple or a list.
    ///
    /// # Errors
    /// [`ScriptError`] if it fails or returns anything else.
    pub fn forward(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, ScriptError> {
        let inputs: Vec<*const c_void> = inputs.iter().map(|input| input.as_ptr().cast()).collect();
        let (mut outputs, mut count) = (null_mut(), 0);
        // SAFETY: the inputs live for the call. The array that is written holds `count` new tensors, which this call takes
        // over before it frees the array.
        unsafe {
            check(firesteel_script_forward(
                self.script.as_ptr(),
                inputs.as_ptr(),
                inputs.len(),
                &raw mut outputs,
                &raw mut count,
            ))?;
            let found =
                (0..count).map(|index| Tensor::from_ptr((*outputs.add(index)).cast())).collect();
            firesteel_script_free_outputs(outputs);
            Ok(found)
        }
    }

    fn check_slot(&self, slot: usize) -> Result<(), ScriptError> {
        if slot < self.slots.len() {
            return Ok(());
        }
        let count = self.slots.len();
        Err(ScriptError::new(&format!("the module has no place {slot}; it has {count}")))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: it was loaded by `firesteel_script_load` and is freed once.
        unsafe { firesteel_script_free(self.script.as_ptr()) }
    }
}

/// Copies a text of C++.
///
/// # Safety
/// It ends with 0 and lives for the call.
unsafe fn owned(text: *const c_char) -> String {
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Converts the failure text of a call to an error.
fn check(text: *mut c_char) -> Result<(), ScriptError> {
    if text.is_null() {
        return Ok(());
    }
    // SAFETY: a failure is a text that ends with 0 and is this call's to free.
    unsafe {
        let error = ScriptError::new(&CStr::from_ptr(text).to_string_lossy());
        firesteel_script_free_text(text);
        Err(error)
    }
}

unsafe extern "C" {
    fn firesteel_script_free_text(text: *mut c_char);
    fn firesteel_script_load(
        archive: *const c_char,
        size: usize,
        script: *mut *mut c_void,
    ) -> *mut c_char;
    fn firesteel_script_free(script: *mut c_void);
    fn firesteel_script_count(script: *const c_void) -> usize;
    fn firesteel_script_name(script: *const c_void, index: usize) -> *const c_char;
    fn firesteel_script_is_parameter(script: *const c_void, index: usize) -> bool;
    fn firesteel_script_listed_count(script: *const c_void) -> usize;
    fn firesteel_script_listed_name(script: *const c_void, index: usize) -> *const c_char;
    fn firesteel_script_listed_kind(script: *const c_void, index: usize) -> *const c_char;
    fn firesteel_script_ending_count(script: *const c_void) -> usize;
    fn firesteel_script_ending(script: *const c_void, index: usize) -> *const c_char;
    fn firesteel_script_get(
        script: *const c_void,
        index: usize,
        tensor: *mut *mut c_void,
    ) -> *mut c_char;
    fn firesteel_script_set(
        script: *mut c_void,
        index: usize,
        tensor: *const c_void,
    ) -> *mut c_char;
    fn firesteel_script_train(script: *mut c_void, on: bool) -> *mut c_char;
    fn firesteel_script_forward(
        script: *mut c_void,
        inputs: *const *const c_void,
        count: usize,
        outputs: *mut *mut *mut c_void,
        output_count: *mut usize,
    ) -> *mut c_char;
    fn firesteel_script_free_outputs(outputs: *mut *mut c_void);
}
