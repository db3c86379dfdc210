//! The boundary to the JVM: the natives of `firesteel.bridge.NativeBridge`.
//!
//! A native is short: it reads its arguments, calls one of the other crates and writes its result. What it opens lives in
//! a registry and is known to Java by an id. Every error, and every panic, becomes the Java exception of its code
//! (`errors`). Calls are counted, so that the JVM can leave while some compute (`calls`).
//!
//! `native_method!` exports each native under a name that holds its Java signature: one that drifts from
//! `NativeBridge.java` is a link error.

/// Exports the function of this name as a static native of `NativeBridge`, with panics and errors turned into exceptions.
macro_rules! native {
    ($($signature:tt)*) => {
        const _: jni::NativeMethod = jni::native_method! {
            java_type = "firesteel.bridge.NativeBridge",
            error_policy = ThrowCoded,
            static extern fn $($signature)*,
        };
    };
}

mod arguments;
mod calls;
mod errors;
mod handles;
mod logs;
mod mkl;
mod modules;
mod predictor;
mod process;
mod server;
mod shard;
mod weights;
mod worker;
