"""Convolution and pooling."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from firesteel.layers.layer import Layer, Size


@dataclass(frozen=True)
class Conv2d(Layer):
    """Two-dimensional convolution: ``[in, h, w]`` becomes ``[out_channels, h', w']``.

    ``padding`` is a number of zeros at each side, or ``"same"``: as many as keep height and width,
    for a stride of 1.
    """

    out_channels: int
    kernel_size: Size
    _: KW_ONLY
    stride: Size = 1
    padding: Size | str = 0
    dilation: Size = 1
    groups: int = 1
    bias: bool = True
    in_channels: int | None = None

    def __post_init__(self) -> None:
        self._at_least(1, "out_channels", "kernel_size", "stride", "dilation", "groups")
        self._at_least(1, "in_channels")
        if isinstance(self.padding, str):
            self._one_of("padding", ("same",))
            if self.stride != 1:
                raise ValueError("Conv2d: padding 'same' needs a stride of 1")
        else:
            self._at_least(0, "padding")
        if self.out_channels % self.groups:
            raise ValueError(
                f"Conv2d: out_channels, {self.out_channels}, must be a multiple of groups, "
                f"{self.groups}"
            )


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """The largest value of each window: ``[c, h, w]`` becomes ``[c, h', w']``.

    A window moves by its own size unless ``stride`` is given.
    """

    kernel_size: Size
    stride: Size | None = None
    padding: Size = 0
    dilation: Size = 1
    _: KW_ONLY
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        self._at_least(1, "kernel_size", "stride", "dilation")
        self._at_least(0, "padding")


@dataclass(frozen=True)
class AvgPool2d(Layer):
    """The mean of each window: ``[c, h, w]`` becomes ``[c, h', w']``.

    A window moves by its own size unless ``stride`` is given.
    """

    kernel_size: Size
    stride: Size | None = None
    padding: Size = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    def __post_init__(self) -> None:
        self._at_least(1, "kernel_size", "stride")
        self._at_least(0, "padding")


@dataclass(frozen=True)
class AdaptiveMaxPool2d(Layer):
    """The largest value of each of ``output_size`` windows that cover the image.

    ``[c, h, w]`` becomes ``[c, output_size]``.
    """

    output_size: Size

    def __post_init__(self) -> None:
        self._at_least(1, "output_size")


@dataclass(frozen=True)
class AdaptiveAvgPool2d(Layer):
    """The mean of each of ``output_size`` windows that cover the image.

    ``[c, h, w]`` becomes ``[c, output_size]``.
    """

    output_size: Size

    def __post_init__(self) -> None:
        self._at_least(1, "output_size")


@dataclass(frozen=True)
class ZeroPad2d(Layer):
    """Zeros around an image: ``(left, right, top, bottom)``, or as many at each side.

    ``[c, h, w]`` becomes ``[c, h + top + bottom, w + left + right]``. Where a number is negative,
    as many values are cut off.
    """

    padding: int | tuple[int, int, int, int]

    def __post_init__(self) -> None:
        sides = (self.padding,) if isinstance(self.padding, int) else tuple(self.padding)
        if len(sides) not in (1, 4) or not all(isinstance(side, int) for side in sides):
            raise ValueError(
                "ZeroPad2d: padding must be one whole number or (left, right, top, bottom), "
                f"not {self.padding}"
            )
        object.__setattr__(self, "padding", sides[0] if len(set(sides)) == 1 else sides)
