"""Dense layers, embeddings, shapes and merges."""

from __future__ import annotations

from dataclasses import dataclass

from firesteel.layers.layer import Layer


@dataclass(frozen=True, init=False)
class Linear(Layer):
    """``y = x W' + b`` over the last dimension: ``[*, in]`` becomes ``[*, out_features]``.

    ``Linear(10)`` infers the number of inputs; ``Linear(784, 10)`` writes it down first, as PyTorch
    does.
    """

    out_features: int
    in_features: int | None = None
    bias: bool = True

    def __init__(
        self,
        *features: int,
        out_features: int | None = None,
        in_features: int | None = None,
        bias: bool = True,
    ) -> None:
        given = list(features)
        if given and out_features is None:
            out_features = given.pop()
        if given and in_features is None:
            in_features = given.pop()
        if given or out_features is None:
            raise TypeError("Linear takes out_features, or in_features and out_features")
        object.__setattr__(self, "out_features", out_features)
        object.__setattr__(self, "in_features", in_features)
        object.__setattr__(self, "bias", bias)
        self._at_least(1, "out_features", "in_features")


@dataclass(frozen=True)
class Embedding(Layer):
    """A lookup table of vectors: token ids ``[*]`` become ``[*, embedding_dim]``."""

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None = None

    def __post_init__(self) -> None:
        self._at_least(1, "num_embeddings", "embedding_dim")
        index = self.padding_idx
        if index is not None and not -self.num_embeddings <= index < self.num_embeddings:
            raise ValueError(
                f"Embedding: padding_idx {index} must be within num_embeddings, "
                f"{self.num_embeddings}"
            )


@dataclass(frozen=True)
class Dropout(Layer):
    """Sets each value to 0 with probability ``p`` in training and scales the others."""

    p: float = 0.5

    def __post_init__(self) -> None:
        self._probability("p")


@dataclass(frozen=True)
class Flatten(Layer):
    """Joins the dimensions from ``start_dim`` to ``end_dim``.

    Dimension 0 is the rows, so that by default each row becomes one list.
    """

    start_dim: int = 1
    end_dim: int = -1

    def __post_init__(self) -> None:
        if self.start_dim == 0:
            raise ValueError("Flatten: start_dim 0 would join the rows of a mini-batch")


@dataclass(frozen=True, init=False)
class Reshape(Layer):
    """Reshapes each row; one size may be -1 and is inferred."""

    shape: tuple[int, ...]

    def __init__(self, *shape: int) -> None:
        object.__setattr__(self, "shape", shape)
        if not shape:
            raise ValueError("Reshape: shape must not be empty")
        if shape.count(-1) > 1 or any(size < 1 and size != -1 for size in shape):
            raise ValueError(
                f"Reshape: shape {shape} must have sizes of at least 1, of which one may be -1"
            )


@dataclass(frozen=True, init=False)
class Permute(Layer):
    """Permutes the dimensions of each row, to the order of ``dims``, counted from 1.

    ``Permute(3, 1, 2)`` is for an image whose channels come last; dimension 0 is the rows.
    """

    dims: tuple[int, ...]

    def __init__(self, *dims: int) -> None:
        object.__setattr__(self, "dims", dims)
        if not dims or sorted(dims) != list(range(1, len(dims) + 1)):
            raise ValueError(f"Permute: dims {dims} must hold each of 1 to {len(dims)} once")


@dataclass(frozen=True)
class Add(Layer):
    """The sum of its inputs, of equal shape. For graphs; in a sequence, use Residual."""


@dataclass(frozen=True)
class Subtract(Layer):
    """The first of two inputs minus the second, of equal shape. For graphs."""


@dataclass(frozen=True)
class Multiply(Layer):
    """The product of its inputs, of equal shape. For graphs."""


@dataclass(frozen=True)
class Average(Layer):
    """The mean of its inputs, of equal shape. For graphs."""


@dataclass(frozen=True)
class Maximum(Layer):
    """The elementwise maximum of its inputs. For graphs."""


@dataclass(frozen=True)
class Minimum(Layer):
    """The elementwise minimum of its inputs. For graphs."""


@dataclass(frozen=True)
class Concatenate(Layer):
    """Concatenates its inputs along the dimension ``dim``; dimension 0 is the rows. For graphs."""

    dim: int = 1

    def __post_init__(self) -> None:
        self._not_rows("dim")
