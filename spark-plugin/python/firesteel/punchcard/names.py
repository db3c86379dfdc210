"""The names of a training job's files, and the line of a failure in its log."""

FAILED = "the job failed: "
"""The beginning of the line of the driver's log that says what is wrong."""

EVENTS = "events.jsonl"
"""The events of an attempt, beside its request: one JSON object a line, read by the server."""
NETWORK = "network.json"
"""The network as JSON, without weights."""
WEIGHTS = "weights.safetensors"
"""The trained weights."""
HISTORY = "history.json"
"""The history: of a trainer its entries, of an estimator the losses and metrics of each epoch."""
SUMMARY = "summary.json"
"""The training summary."""
MODEL = "model.json"
"""The model's class, the shapes of its inputs' rows, and the number of an ensemble's members."""
SAVED_MODEL = "model.zip"
"""The folder that ``model.save`` writes."""


def member_weights(index: int) -> str:
    """Returns the name of the weights of an ensemble's member, counted from 0."""
    return f"weights-{index}.safetensors"
