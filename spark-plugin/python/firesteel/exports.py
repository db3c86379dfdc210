"""Export of trained models to PyTorch and other runtimes. PyTorch is imported when needed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from firesteel.network import BaseNetwork

if TYPE_CHECKING:
    from torch import nn


class TorchExports:
    """Export of a trained model's network as a PyTorch module, as TorchScript and as ONNX.

    All three take the network's inputs in order, each with the rows as its first dimension: values
    as ``float32``, token ids as ``int64``, in the shape of the network's input. They return the
    network's outputs: probabilities if it ends in ``Softmax`` or ``Sigmoid``, otherwise logits or
    numbers. An ensemble returns the mean over its members, as ``transform`` does.
    """

    _gives_classes: bool = False

    @property
    @abstractmethod
    def network(self) -> BaseNetwork:
        """The trained network."""

    @property
    @abstractmethod
    def weights(self) -> dict[str, NDArray[Any]]:
        """The trained weights."""

    @property
    @abstractmethod
    def _row_shapes(self) -> Mapping[str, Sequence[int]]:
        """The shape of one row of each input of the network."""

    def to_torch(
        self, *, logits: bool = False, scale: float | Mapping[str, float] = 1.0
    ) -> nn.Module:
        """Returns the network as a PyTorch module with the trained weights, in evaluation mode.

        Its ``state_dict`` has the names of :attr:`weights`.

        Parameters
        ----------
        logits : bool
            If True, leaves out the ``Softmax`` or ``Sigmoid`` at the end of an output.
        scale : float or dict
            A factor for the values (not token ids) of all inputs, or a factor for each input by
            name, 1 for the others: 1/255 for a model that was trained on binary features, if the
            module is to take byte values from 0 to 255.

        Raises
        ------
        ImportError
            Without PyTorch.
        ValueError
            If PyTorch does not support a layer; if `scale` names an unknown input, or an input of
            token ids with a scale other than 1; if `logits` or `scale` is set for a TorchScript
            network, whose module is returned unchanged.
        """
        from firesteel.torch_export import to_module

        return to_module(
            self.network,
            self.weights,
            self._row_shapes,
            logits=logits,
            scale=scale,
            classes=self._gives_classes,
        )

    def export_torchscript(
        self,
        path: str | PathLike[str],
        *,
        logits: bool = False,
        scale: float | Mapping[str, float] = 1.0,
    ) -> None:
        """Writes the network as a local file that ``torch.jit.load`` reads.

        The parameters and errors are those of :meth:`to_torch`.
        """
        from firesteel.torch_export import export_torchscript

        export_torchscript(self.to_torch(logits=logits, scale=scale), path)

    def export_onnx(
        self,
        path: str | PathLike[str],
        *,
        logits: bool = False,
        scale: float | Mapping[str, float] = 1.0,
        opset_version: int | None = None,
    ) -> None:
        """Writes the network as a local ONNX file, which has the weights.

        Its inputs and outputs have any number of rows and the network's names. A name that is a
        number gets a prefix: ``output_3`` for layer ``3`` of a sequential network.
        The other parameters and errors are those of :meth:`to_torch`.

        Parameters
        ----------
        opset_version : int, optional
            The version of ONNX's operators. Default: PyTorch's.

        Raises
        ------
        ImportError
            Without PyTorch or onnx.
        ValueError
            If ONNX has no counterpart of a layer.
        """
        from firesteel.torch_export import (
            example_inputs,
            export_onnx,
        )

        network = self.network
        export_onnx(
            self.to_torch(logits=logits, scale=scale),
            path,
            example_inputs(network, self._row_shapes),
            network.outputs,
            opset_version,
        )
