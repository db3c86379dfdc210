"""The address and the token of the command line."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from firesteel.punchcard.errors import InvalidRequestError, NotAuthenticatedError

ADDRESS, TOKEN, CA = (f"FIRESTEEL_PUNCHCARD_{name}" for name in ("ADDRESS", "TOKEN", "CA"))
"""The environment variables."""
_KEYS = ("address", "token", "ca", "insecure")


@dataclass(frozen=True)
class Settings:
    """The server to talk to, and the token."""

    address: str
    token: str
    ca: str | None = None
    insecure: bool = False


def config_file() -> Path:
    """Returns the configuration file of the user."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "firesteel" / "punchcard.toml"


def read_settings(
    address: str | None = None,
    token: str | None = None,
    ca: str | None = None,
    insecure: bool = False,
) -> Settings:
    """Returns the settings: options, else environment variables, else the configuration file.

    Raises
    ------
    InvalidRequestError
        If the address is missing, or the file is not of the expected form.
    NotAuthenticatedError
        If the token is missing.
    """
    file = config_file()
    stored = _read(file)
    address = address or os.environ.get(ADDRESS) or stored.get("address")
    token = token or os.environ.get(TOKEN) or stored.get("token")
    if not address:
        raise InvalidRequestError(_missing("address", ADDRESS, file), field="address")
    if not token:
        raise NotAuthenticatedError(_missing("token", TOKEN, file))
    return Settings(
        address,
        token,
        ca or os.environ.get(CA) or stored.get("ca"),
        insecure or bool(stored.get("insecure")),
    )


def _missing(name: str, variable: str, file: Path) -> str:
    return (
        f"the {name} is missing: give --{name}, set {variable}, or write {name} = '...' into {file}"
    )


def _read(file: Path) -> dict[str, str]:
    try:
        document = tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidRequestError(f"{file} is not readable as TOML: {error}") from None
    unknown = [key for key in document if key not in _KEYS]
    if unknown:
        raise InvalidRequestError(
            f"{file} has unknown keys: {', '.join(unknown)}. The keys are {', '.join(_KEYS)}"
        )
    return document
