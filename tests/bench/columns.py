"""Images in columns of other types than bytes."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame

PIXELS = 784


def matrix(features: pd.Series) -> np.ndarray:
    """The features of a batch as one row each of f32 from 0 to 1."""
    if isinstance(features.iloc[0], bytes):
        values = np.frombuffer(b"".join(features), dtype=np.uint8).reshape(-1, PIXELS)
        return values.astype(np.float32) / np.float32(255)
    return np.stack(features.to_numpy())


def arrays(images: DataFrame) -> DataFrame:
    """Images of bytes as `array<float>` from 0 to 1."""

    def convert(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            yield pd.DataFrame(
                {"features": list(matrix(batch["features"])), "label": batch["label"]}
            )

    return images.mapInPandas(convert, "features array<float>, label int")
