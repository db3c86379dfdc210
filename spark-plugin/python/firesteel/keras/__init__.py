"""Keras 3 models as networks and back. Keras is an optional dependency."""

from firesteel.keras.builder import KerasConversionError
from firesteel.keras.convert import from_keras, to_keras

__all__ = ["KerasConversionError", "from_keras", "to_keras"]
