//! The unsafe code of this crate: memory shared by libtorch and Rust.
//!
//! Tensors and slices over the same memory are safe side by side because a libtorch operation of this crate runs on the
//! calling thread from its call to its return and keeps no pointer afterwards; a slice is never borrowed across one
//! that writes to its memory. The module is private to the crate, which keeps that rule.
#![expect(unsafe_code, reason = "memory that libtorch and Rust share")]

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use ndarray::ArrayView2;
use tch::{Device, Kind, Tensor};

use crate::error::TrainError;

/// An element type of tensors and slices.
pub(crate) trait TensorElement: Copy {
    const KIND: Kind;
}

impl TensorElement for f32 {
    const KIND: Kind = Kind::Float;
}

impl TensorElement for i64 {
    const KIND: Kind = Kind::Int64;
}

/// Contiguous memory of libtorch that is read and written as a slice.
#[derive(Debug)]
pub(crate) struct Memory<T> {
    tensor: Tensor,
    len: usize,
    element: PhantomData<T>,
}

impl<T: TensorElement> Memory<T> {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Result<Self, TrainError> {
        let tensor = Tensor::f_zeros([dimension(len)?], (T::KIND, Device::Cpu))?;
        Ok(Self { tensor, len, element: PhantomData })
    }

    pub(crate) fn slice(&self) -> &[T] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the tensor is contiguous, of this kind and length, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.tensor.data_ptr().cast::<T>(), self.len) }
    }

    pub(crate) fn slice_mut(&mut self) -> &mut [T] {
        if self.len == 0 {
            return &mut [];
        }
        // SAFETY: as in `slice`; nothing else of Rust refers to the memory while `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.tensor.data_ptr().cast::<T>(), self.len) }
    }

    /// A tensor of this shape over the elements from `offset`.
    pub(crate) fn view(&self, offset: usize, shape: &[i64]) -> Result<Tensor, TrainError> {
        view(&self.tensor, offset, shape)
    }
}

/// A tensor of this shape over the elements of a flat tensor from `offset`.
pub(crate) fn view(flat: &Tensor, offset: usize, shape: &[i64]) -> Result<Tensor, TrainError> {
    Ok(flat.f_narrow(0, dimension(offset)?, shape.iter().product())?.f_reshape(shape)?)
}

/// Converts a length to libtorch's type.
pub(crate) fn dimension(length: usize) -> Result<i64, TrainError> {
    i64::try_from(length)
        .map_err(|_| TrainError::Internal(format!("{length} does not fit a tensor dimension")))
}

/// Converts a shape to libtorch's type.
pub(crate) fn lengths(shape: &[usize]) -> Result<Vec<i64>, TrainError> {
    shape.iter().map(|&length| dimension(length)).collect()
}

/// The values of a contiguous f32 tensor.
pub(crate) fn values(tensor: &Tensor) -> Result<&[f32], TrainError> {
    elements(tensor)
}

/// The values of a contiguous f32 tensor, an equal number in each of `rows` rows.
pub(crate) fn matrix(tensor: &Tensor, rows: usize) -> Result<ArrayView2<'_, f32>, TrainError> {
    let values = values(tensor)?;
    let width = values.len() / rows.max(1);
    if rows * width != values.len() {
        let text =
            format!("a tensor has {} values, not an equal number in {rows} rows", values.len());
        return Err(TrainError::Internal(text));
    }
    Ok(ArrayView2::from_shape((rows, width), values)?)
}

/// The elements of a contiguous tensor of this type.
pub(crate) fn elements<T: TensorElement>(tensor: &Tensor) -> Result<&[T], TrainError> {
    if tensor.f_kind()? != T::KIND || !tensor.is_contiguous() {
        let text = format!("a tensor is not contiguous or not of {:?}", T::KIND);
        return Err(TrainError::Internal(text));
    }
    let len = tensor.numel();
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: checked to be contiguous, of this type, `numel` long, and borrowed as long as the slice.
    Ok(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<T>(), len) })
}

/// A tensor over a slice, which it reads and must not outlive.
pub(crate) struct Borrowed<'a> {
    tensor: Tensor,
    memory: PhantomData<&'a [f32]>,
}

impl<'a> Borrowed<'a> {
    pub(crate) fn new(values: &'a [f32], shape: &[i64]) -> Result<Self, TrainError> {
        Ok(Self { tensor: over(values, shape)?, memory: PhantomData })
    }
}

impl Deref for Borrowed<'_> {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

/// A flat tensor over values that several threads share. Nothing may write to it.
pub(crate) struct Shared<T> {
    tensor: Tensor,
    /// Keeps the memory.
    _values: Arc<[T]>,
}

impl<T: TensorElement> Shared<T> {
    pub(crate) fn new(values: Arc<[T]>) -> Result<Self, TrainError> {
        Ok(Self { tensor: over(&values, &[dimension(values.len())?])?, _values: values })
    }

    /// The tensor, not to be used longer than `self`.
    pub(crate) fn tensor(&self) -> &Tensor {
        &self.tensor
    }
}

fn over<T: TensorElement>(values: &[T], shape: &[i64]) -> Result<Tensor, TrainError> {
    if shape.iter().product::<i64>() != dimension(values.len())? {
        return Err(TrainError::Internal(format!("{} values do not fill {shape:?}", values.len())));
    }
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    // SAFETY: the slice holds as many elements as the shape; `Borrowed` and `Shared` keep it alive and nothing writes to it.
    Ok(unsafe {
        Tensor::f_from_blob(values.as_ptr().cast(), shape, &strides, T::KIND, Device::Cpu)?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_and_the_slice_are_the_same_memory() {
        let mut memory = Memory::<f32>::zeros(6).unwrap();
        memory.slice_mut().copy_from_slice(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let mut view = memory.view(2, &[2, 2]).unwrap();
        assert_eq!(values(&view).unwrap(), [2.0, 3.0, 4.0, 5.0]);
        let _ = view.f_fill_(7.0).unwrap();
        assert_eq!(memory.slice(), [0.0, 1.0, 7.0, 7.0, 7.0, 7.0]);
        assert!(memory.view(4, &[2, 2]).is_err());
        assert!(Memory::<f32>::zeros(0).unwrap().slice().is_empty());
    }

    #[test]
    fn a_tensor_of_any_shape_is_a_matrix_of_its_rows() {
        let tensor = Tensor::f_zeros([3, 2, 4], (Kind::Float, Device::Cpu)).unwrap();
        assert_eq!(matrix(&tensor, 3).unwrap().dim(), (3, 8));
        let none = Tensor::f_zeros([0, 2], (Kind::Float, Device::Cpu)).unwrap();
        assert_eq!(matrix(&none, 0).unwrap().dim(), (0, 0));
    }

    #[test]
    fn a_shared_tensor_keeps_its_memory() {
        let shared = Shared::<f32>::new(vec![1.0, 2.0].into()).unwrap();
        assert_eq!(values(shared.tensor()).unwrap(), [1.0, 2.0]);
        assert!(Borrowed::new(&[1.0, 2.0], &[3]).is_err());
    }
}
