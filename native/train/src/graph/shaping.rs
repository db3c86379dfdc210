//! The layers that reshape, permute or pad their input.

use super::arguments::Arguments;
use crate::error::TrainError;
use crate::model::show;

pub(super) fn flatten(
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<Vec<usize>, TrainError> {
    let start = arguments.dimension("start_dim", 1, shape)?;
    let end = arguments.dimension("end_dim", -1, shape)?;
    if start > end {
        return Err(arguments.problem("start_dim comes after end_dim"));
    }
    let mut output = shape[..start].to_vec();
    output.push(shape[start..=end].iter().product());
    output.extend(&shape[end + 1..]);
    Ok(output)
}

pub(super) fn reshape(
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<Vec<usize>, TrainError> {
    let target = arguments.integers("shape")?;
    let size: usize = shape.iter().product();
    let unfit = || {
        arguments.problem(format!(
            "got the shape {} of {size} values, which do not fit the shape {target:?}",
            show(shape)
        ))
    };
    if target.iter().any(|&length| length == 0 || length < -1)
        || target.iter().filter(|&&length| length == -1).count() > 1
    {
        return Err(arguments.problem(format!(
            "shape {target:?} must hold lengths of at least 1, and -1 at most once"
        )));
    }
    let known = target
        .iter()
        .filter(|&&length| length > 0)
        .try_fold(1_usize, |product, &length| product.checked_mul(usize::try_from(length).ok()?))
        .ok_or_else(unfit)?;
    let open = target.contains(&-1);
    if (open && !size.is_multiple_of(known)) || (!open && size != known) {
        return Err(unfit());
    }
    let output: Vec<usize> =
        target.iter().map(|&length| usize::try_from(length).unwrap_or(size / known)).collect();
    Ok(output)
}

pub(super) fn permute(
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<(Vec<usize>, Vec<usize>), TrainError> {
    let given = arguments.integers("dims")?;
    let order: Vec<usize> =
        given.iter().filter_map(|&dim| usize::try_from(dim).ok()?.checked_sub(1)).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if given.len() != shape.len() || !sorted.into_iter().eq(0..shape.len()) {
        return Err(arguments.problem(format!(
            "got the shape {}; dims {given:?} must hold each of 1 to {} once, 0 being the batch",
            show(shape),
            shape.len()
        )));
    }
    let output = order.iter().map(|&dimension| shape[dimension]).collect();
    Ok((order, output))
}

/// Zeros at each side of the last two dimensions; a negative number cuts values off.
pub(super) fn zero_pad(
    arguments: &Arguments<'_>,
    shape: &[usize],
) -> Result<([i64; 4], Vec<usize>), TrainError> {
    let [_, height, width] = *shape else {
        return Err(arguments
            .problem(format!("got the shape {}; needs [channels, height, width]", show(shape))));
    };
    let given = arguments.integer_or_list("padding")?;
    let sides: [i64; 4] = match given.as_slice() {
        [all] => [*all; 4],
        sides => sides.try_into().map_err(|_| {
            arguments.problem(format!(
                "padding {given:?} must be one integer or [left, right, top, bottom]"
            ))
        })?,
    };
    let [left, right, top, bottom] = sides;
    let padded = |length: usize, before: i64, after: i64| {
        let length = i64::try_from(length).ok()?.checked_add(before)?.checked_add(after)?;
        usize::try_from(length).ok().filter(|&length| length > 0)
    };
    // A side may not cut off more than there is, whatever the other one adds.
    let fits = padded(height, top.min(0), bottom.min(0)).is_some()
        && padded(width, left.min(0), right.min(0)).is_some();
    let (height, width) = padded(height, top, bottom)
        .zip(padded(width, left, right))
        .filter(|_| fits)
        .ok_or_else(|| {
            arguments.problem(format!(
                "got the shape {}; padding {given:?} leaves nothing of it or is too large",
                show(shape)
            ))
        })?;
    Ok((sides, vec![shape[0], height, width]))
}
