"""What a trained model gives to PyTorch and to other runtimes. PyTorch is imported when needed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from firesteel.network import BaseNetwork

if TYPE_CHECKING:
    from torch import nn


class TorchExports:
    """The network of a trained model as a module of PyTorch, as TorchScript and as ONNX.

    All three take the network's inputs in order, each with the rows as its first dimension: values
    as ``float32``, token ids as ``int64``, in the shape of the network's input. They give the
    network's outputs as its layers say: probabilities where it ends in ``Softmax`` or ``Sigmoid``,
    else logits or numbers. An ensemble gives the mean over its members, as ``transform`` does.
    """

    _gives_classes: ClassVar[bool] = False

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
        """The network as a module of PyTorch with the trained weights, in evaluation mode.

        Its ``state_dict`` has the names of :attr:`weights`.

        Parameters
        ----------
        logits : bool
            Whether to leave out the ``Softmax`` or ``Sigmoid`` that an output ends in.
        scale : float or dict
            What the values (not token ids) are multiplied with first, or for each input by its
            name, 1 for those left out: 1/255 for a model that was trained on binary features, if
            the module is to take the bytes' values 0 to 255.

        Raises
        ------
        ImportError
            Without PyTorch.
        ValueError
            Naming the layer that PyTorch does not take; the input of `scale` that the network does
            not have, or that holds token ids and has a scale other than 1; for a network from a
            module of TorchScript, which is given as it is, where `logits` or `scale` is set.
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

        Its inputs and outputs have any number of rows and the network's names, where a number has
        ``input_`` or ``output_`` before it: ``output_3`` for layer ``3`` of a sequential network.
        The other parameters and errors are those of :meth:`to_torch`.

        Parameters
        ----------
        opset_version : int, optional
            The version of ONNX's operators; PyTorch's default unless given.

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
