//! The processors on which the MKL inside libtorch uses its kernels with AVX2 and AVX-512.
//!
//! MKL asks its function `mkl_serv_intel_cpu_true` if the processor is Intel's, and otherwise computes with kernels for
//! older processors. libtorch calls it through the dynamic linker, which finds the function of this name here first:
//! libtorch is loaded as a dependency of this library. See ADR 17.
#![expect(unsafe_code, reason = "a function that MKL finds by its name")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use jni::Env;
use jni::objects::JClass;
use jni::sys::jboolean;
use tch::{Device, Kind, Tensor};

use crate::errors::{BridgeError, ThrowCoded};

/// True if MKL may use the kernels on processors of other makers.
static ON_ALL: AtomicBool = AtomicBool::new(false);
/// True if MKL has asked, and the answer was yes.
static ALLOWED: AtomicBool = AtomicBool::new(false);

native!(start_mkl(on_all: jboolean) -> jboolean);

/// Sets the processors on which MKL uses its kernels with AVX2 and AVX-512, before its first product, which is computed
/// here. Returns true if it uses them.
fn start_mkl<'local>(
    _: &mut Env<'local>,
    _: JClass<'local>,
    on_all: jboolean,
) -> Result<jboolean, BridgeError> {
    ON_ALL.store(on_all, Ordering::Relaxed);
    // A product that fails is a libtorch that cannot compute, which the first fit reports.
    let product = Tensor::f_ones([16, 16], (Kind::Float, Device::Cpu))
        .and_then(|square| square.f_matmul(&square));
    Ok(product.is_ok() && ALLOWED.load(Ordering::Relaxed))
}

/// Answers MKL: 1 if it may use its kernels with AVX2 and AVX-512. It also looks for the instructions themselves.
#[unsafe(no_mangle)]
extern "C" fn mkl_serv_intel_cpu_true() -> c_int {
    let allowed = ON_ALL.load(Ordering::Relaxed) || is_intel();
    ALLOWED.store(allowed, Ordering::Relaxed);
    c_int::from(allowed)
}

#[cfg(target_arch = "x86_64")]
fn is_intel() -> bool {
    let vendor = std::arch::x86_64::__cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).concat() == b"GenuineIntel"
}

#[cfg(not(target_arch = "x86_64"))]
fn is_intel() -> bool {
    false
}
