"""TorchScript modules as networks."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

from numpy.typing import NDArray

from firesteel import safetensors
from firesteel.network import BaseNetwork, encode_weights

ELEMENT_TYPES = ("float32", "int64")
"""The element types of a module's inputs."""


class TorchScriptNetwork(BaseNetwork):
    """A TorchScript module with its weights.

    Parameters
    ----------
    inputs : dict
        The names of the module's inputs in order, with their element types: ``float32`` or
        ``int64``.
    outputs : sequence of str
        The names of its outputs.
    module : bytes
        The archive that ``torch.jit.save`` writes.
    input_shapes, weights : optional
        As in :class:`Network`. Without `weights` training starts from those of the archive.
    """

    SCRIPTED = True
    FORMAT = "firesteel.torchscript/1"

    def __init__(
        self,
        inputs: Mapping[str, str],
        outputs: Sequence[str],
        module: bytes,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        weights: Mapping[str, NDArray[Any]] | bytes | None = None,
    ) -> None:
        for name, element in inputs.items():
            if element not in ELEMENT_TYPES:
                raise ValueError(
                    f"input '{name}' has elements of type '{element}', "
                    f"not {' or '.join(ELEMENT_TYPES)}"
                )
        if not inputs or not outputs:
            raise ValueError("a TorchScript network needs at least one input and one output")
        self._types = MappingProxyType(dict(inputs))
        self._outputs = tuple(outputs)
        self._module = module
        self._weights = (
            weights if weights is None or isinstance(weights, bytes) else encode_weights(weights)
        )
        super().__init__(input_shapes)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the module's inputs, in order."""
        return tuple(self._types)

    @property
    def input_types(self) -> Mapping[str, str]:
        """The element types of the inputs."""
        return self._types

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the module's outputs, in order."""
        return self._outputs

    @property
    def module(self) -> bytes:
        """The archive that ``torch.jit.load`` reads."""
        return self._module

    @property
    def weights(self) -> dict[str, NDArray[Any]] | None:
        """The starting weights: arrays by name, or None for those of the archive."""
        return None if self._weights is None else safetensors.decode(self._weights)

    def with_weights(
        self, weights: Mapping[str, NDArray[Any]] | bytes | None
    ) -> TorchScriptNetwork:
        """Returns the same module with these starting weights, such as those of a model.

        Parameters
        ----------
        weights : dict or bytes
            Arrays by name, as in PyTorch's ``state_dict``, or safetensors; None for the archive's.
        """
        return TorchScriptNetwork(
            self._types, self._outputs, self._module, self._input_shapes, weights
        )

    def with_input_shape(self, *shape: int) -> TorchScriptNetwork:
        """Returns the same module over rows of this shape, for modules with one input."""
        if len(self._types) != 1:
            raise ValueError("with_input_shape is for networks of one input; use input_shapes")
        shapes = {next(iter(self._types)): shape}
        return TorchScriptNetwork(self._types, self._outputs, self._module, shapes, self._weights)

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "inputs": [{"name": name, "type": element} for name, element in self._types.items()],
            "outputs": self._outputs,
            "module": base64.b64encode(self._module).decode(),
        }
        if self._weights is not None:
            document["weights"] = base64.b64encode(self._weights).decode()
        return document

    @classmethod
    def _from_document(
        cls, document: dict[str, Any], input_shapes: Mapping[str, Sequence[int]] | None
    ) -> Self:
        inputs = {entry["name"]: entry["type"] for entry in document["inputs"]}
        module = base64.b64decode(document["module"])
        weights = document.get("weights")
        return cls(
            inputs,
            document["outputs"],
            module,
            input_shapes,
            None if weights is None else base64.b64decode(weights),
        )

    def __repr__(self) -> str:
        return (
            f"TorchScriptNetwork: {', '.join(self._types)} -> {', '.join(self._outputs)}, "
            f"{len(self._module)} bytes"
        )
