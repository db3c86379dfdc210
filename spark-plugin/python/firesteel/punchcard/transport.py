"""Requests to the server: authentication, retries and errors."""

from __future__ import annotations

import ipaddress
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from firesteel.punchcard.errors import (
    InsecureAddressError,
    InvalidRequestError,
    PunchcardError,
    ServerError,
    UnavailableError,
    error_of,
)

if TYPE_CHECKING:
    import ssl

    import httpx

_RETRIED = (408, 429, 502, 503, 504)
_BEGINNING = 300
"""The characters of an unexpected answer that an error shows."""
_ERROR_BYTES = 65536
_UNTRUSTED = "untrusted"
_WRONG_SCHEME = "wrong_scheme"


def require_httpx() -> Any:
    """Imports httpx, an optional dependency."""
    try:
        import httpx
    except ImportError:
        raise ImportError(
            "the client of Punchcard needs httpx: pip install 'firesteel[punchcard]'"
        ) from None
    return httpx


@dataclass(frozen=True)
class Retry:
    """The repetition of requests that did not get through.

    Parameters
    ----------
    attempts : int
        The number of attempts of a request.
    first, most : float
        The seconds to wait after the first attempt, doubled after each further one, and their
        limit. The wait is a random number of seconds between half of it and all of it.
    """

    attempts: int = 6
    first: float = 0.25
    most: float = 15.0

    def wait(self, attempt: int, asked: float | None = None) -> float:
        """Returns the seconds to wait after an attempt, counted from 1.

        `asked` are the seconds of the answer's ``Retry-After``.
        """
        seconds = min(self.most, self.first * 2 ** (attempt - 1))
        jittered: float = seconds * random.uniform(0.5, 1.0)
        return jittered if asked is None else max(jittered, min(asked, 4 * self.most))


def check_address(address: str, token: str, insecure: bool) -> str:
    """Returns the address without a slash at its end.

    Raises
    ------
    ValueError
        If it is not the address of an HTTP server.
    InsecureAddressError
        If the token would travel unencrypted to another machine.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"address must have the form 'https://host:port', not '{address}'")
    if parts.username or parts.query or parts.fragment:
        raise ValueError("address must have no user, query or fragment")
    if token and parts.scheme == "http" and not insecure and not _is_loopback(parts.hostname):
        raise InsecureAddressError(
            f"{address} would send the token unencrypted to another machine; use https. In a "
            "network that you trust, insecure=True allows it, on the command line --insecure"
        )
    return address.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Transport:
    """A connection to a server.

    Parameters
    ----------
    address : str
        The server, such as ``https://host:7438``.
    token : str
        The token, or a secret of dist-keras's secrets file.
    ca : str or ssl.SSLContext, optional
        The file with the certificates of authorities in PEM. Default: those of certifi.
    timeout : float
        The seconds to wait for a connection, and for the next bytes of an answer.
    insecure : bool
        True to send the token over plain HTTP to another machine.
    retry : Retry
        The repetition of requests.
    """

    def __init__(
        self,
        address: str,
        token: str,
        ca: str | ssl.SSLContext | None,
        timeout: float,
        insecure: bool,
        retry: Retry,
    ) -> None:
        self._httpx = require_httpx()
        self.address = check_address(address, token, insecure)
        self.retry = retry
        self.options: dict[str, Any] = {
            "base_url": f"{self.address}/api/v1",
            "headers": {"Authorization": f"Bearer {token}"} if token else {},
            "timeout": timeout,
            "verify": _verification(ca),
            "follow_redirects": False,
            # The proxy of the environment is not for this machine.
            "trust_env": not _is_loopback(str(urlsplit(self.address).hostname)),
        }
        self._client: httpx.Client | None = None

    def close(self) -> None:
        """Closes all connections; a later request opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def client(self) -> httpx.Client:
        """The HTTP client."""
        if self._client is None:
            self._client = self._httpx.Client(**self.options)
        return self._client

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """The exceptions of connections that could not be made or broke."""
        return (self._httpx.TransportError,)

    def request(
        self,
        method: str,
        path: str,
        *,
        content: Callable[[], Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Sends a request until it is answered; each request may arrive more than once.

        Parameters
        ----------
        method, path : str
            The request.
        content : callable, optional
            Returns the body, anew for each attempt.
        headers : dict, optional
            Further headers.
        **options
            Further arguments of ``httpx.Client.request``, such as `json` and `params`.

        Raises
        ------
        PunchcardError
            If the answer is an error, or there is none after the last attempt.
        """
        attempt = 0
        while True:
            attempt += 1
            body = content() if content else None
            try:
                response = self.client.request(
                    method, path, content=body, headers=dict(headers or {}), **options
                )
            except self.failures as error:
                failure: PunchcardError = self.unreachable(error)
                asked = None
            else:
                if response.is_success:
                    return response
                failure, asked = self.failure(response)
                # The object was deleted by an attempt whose answer was lost.
                if method == "DELETE" and attempt > 1 and failure.status == 404:
                    return response
            finally:
                if body is not None and hasattr(body, "close"):
                    body.close()
            self.pause(failure, attempt, asked)

    def pause(self, failure: PunchcardError, attempt: int, asked: float | None) -> None:
        """Waits after a failed attempt; raises the error if no further one makes sense."""
        if not may_retry(failure, asked) or attempt >= self.retry.attempts:
            raise failure
        time.sleep(self.retry.wait(attempt, asked))

    @contextmanager
    def stream(self, path: str, **options: Any) -> Iterator[httpx.Response]:
        """Opens an answer that is read in parts; one attempt.

        Raises
        ------
        PunchcardError
            If the answer is an error.
        """
        with self.client.stream("GET", path, **options) as response:
            if not response.is_success:
                response.read()
                raise self.failure(response)[0]
            yield response

    def failure(self, response: httpx.Response) -> tuple[PunchcardError, float | None]:
        """Returns the error of an answer that was read, and the seconds of ``Retry-After``."""
        text = response.text[:_ERROR_BYTES]
        document = None
        if "json" in response.headers.get("Content-Type", ""):
            try:
                document = response.json()
            except ValueError:
                document = None
        if response.is_redirect:
            text = f"the server redirects to {response.headers.get('Location')}; use that address"
        error = error_of(response.status_code, document, text[:_BEGINNING])
        return error, _seconds(response.headers.get("Retry-After"))

    def unreachable(self, error: Exception) -> UnavailableError:
        """Returns the error of a connection that failed."""
        reason = str(error) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            return UnavailableError(
                f"{self.address} has a certificate that is not trusted: {reason}; give the file of "
                "its authority as ca",
                code=_UNTRUSTED,
            )
        scheme, _, host = self.address.partition("://")
        if scheme == "https" and "WRONG_VERSION_NUMBER" in reason:
            return UnavailableError(
                f"{self.address} does not answer with TLS; is the address http://{host}?",
                code=_WRONG_SCHEME,
            )
        # The alert of a TLS server is read as HTTP.
        if scheme == "http" and "illegal request line" in reason:
            return UnavailableError(
                f"{self.address} does not answer with HTTP; is the address https://{host}?",
                code=_WRONG_SCHEME,
            )
        return UnavailableError(f"{self.address} does not answer: {reason}", code="unreachable")


def may_retry(error: PunchcardError, asked: float | None = None) -> bool:
    """Returns True for an error that a later attempt may not have.

    Certificate and address do not change by waiting, nor does a quota, unless the server says how
    long.
    """
    lasting = error.code in (_UNTRUSTED, _WRONG_SCHEME)
    if lasting or (error.code == "quota_exceeded" and asked is None):
        return False
    return isinstance(error, UnavailableError) or error.status in _RETRIED


def json_of(response: httpx.Response) -> Any:
    """Returns the JSON of an answer."""
    try:
        return response.json()
    except ValueError:
        raise ServerError(
            f"the answer to {response.request.url.path} is not JSON: {response.text[:_BEGINNING]}",
            status=response.status_code,
        ) from None


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isascii() and header.isdigit() else None


def _verification(ca: str | ssl.SSLContext | None) -> ssl.SSLContext | bool:
    import ssl

    if ca is None:
        return True
    if isinstance(ca, ssl.SSLContext):
        return ca
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise InvalidRequestError(
            f"ca: '{ca}' is not a file of certificates in PEM: {error}", field="ca"
        ) from None
