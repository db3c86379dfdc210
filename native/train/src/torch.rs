//! libtorch's settings of the calling thread.

/// Sets the number of libtorch's intra-op threads for the calling thread, at least one.
pub(crate) fn set_threads(threads: u32) {
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
}
