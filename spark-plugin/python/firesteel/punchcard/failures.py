"""The failure of a training job: its reason, and the errors that another attempt cannot mend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LINES, CHARACTERS = 12, 1500
"""The most lines and characters of a reason."""

_PERMANENT = frozenset(
    {
        "java.io.FileNotFoundException",
        "java.lang.IllegalArgumentException",
        "java.lang.UnsupportedOperationException",
        "org.apache.spark.sql.AnalysisException",
    }
)
"""Classes of the JVM's exceptions whose cause is in the request or the rows."""
_PASSING = "java.io.IOException"
"""The class of failures of machines and networks. Hadoop wraps some in an exception of above."""
_LIBTORCH = "firesteel.bridge.LibtorchException"
_PLAN = ";\n"
"""The characters between the message of an error of Spark SQL and the query's plan."""


def reason(error: Exception) -> str:
    """Returns an error's text, that of the JVM's exception if it has one, without a stack trace."""
    java = _exception_of_the_jvm(error)
    text = str(error) if java is None else str(java.getMessage() or "")
    kind = type(error).__name__ if java is None else java.getClass().getSimpleName()
    lines = list(_message(text.split(_PLAN)[0]))[:LINES]
    if any(_LIBTORCH in _classes(cause) for cause in _causes(java)):
        lines = lines[: LINES - 1]
        lines.append(
            "Jobs of a server get jars from firesteel.jars of its punchcard.toml, and the path "
            "from the conf of their cluster: ask its administrator."
        )
    text = "\n".join(lines)
    return (f"{kind}: {text}" if text else kind)[:CHARACTERS]


def is_permanent(error: Exception) -> bool:
    """Returns true if another attempt would fail in the same way."""
    java = _exception_of_the_jvm(error)
    if java is None:
        return isinstance(error, ValueError | TypeError | NotImplementedError)
    classes = [_classes(cause) for cause in _causes(java)]
    if any(_PASSING in found and not _PERMANENT & found for found in classes):
        return False
    return any(_PERMANENT & found for found in classes)


def _message(text: str) -> Iterator[str]:
    """Yields the lines before a stack trace."""
    for line in text.strip().splitlines():
        if line.startswith(("\tat ", "Driver stacktrace:")):
            return
        if line.strip():
            yield line.rstrip()


def _exception_of_the_jvm(error: Exception) -> Any:
    """Returns the exception of Java, which PySpark keeps in one of two attributes; None if none."""
    java = getattr(error, "java_exception", None)
    return getattr(error, "_origin", None) if java is None else java


def _causes(java: Any) -> Iterator[Any]:
    """Yields an exception of Java and its causes."""
    while java is not None:
        yield java
        java = java.getCause()


def _classes(java: Any) -> set[str]:
    """Returns the names of an exception's class and of the classes that it extends."""
    names, kind = set(), java.getClass()
    while kind is not None:
        names.add(kind.getName())
        kind = kind.getSuperclass()
    return names
