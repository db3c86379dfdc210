//! The memory that all steps share.

/// Returns as much of the memory that all steps share.
pub(super) fn space(workspace: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if workspace.len() < length {
        workspace.resize(length, 0.0);
    }
    &mut workspace[..length]
}
