"""A training job, with the names of dist-keras."""

from __future__ import annotations

import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from firesteel.punchcard.client import TIMEOUT, Client
from firesteel.punchcard.errors import NotFoundError, PunchcardError
from firesteel.punchcard.fetched import FetchedModel, as_trained, fetch_history
from firesteel.punchcard.values import SUCCEEDED, Event, JobInfo
from firesteel.punchcard.waiting import raise_unless_succeeded, wait_until_final
from firesteel.punchcard.work import Data, Program

if TYPE_CHECKING:
    import ssl

_PROGRAM = "program"


class Job:
    """A job for a Punchcard server: dist-keras's ``Job``.

    :meth:`send` submits the job, and a thread waits for its end and fetches its results. As a
    context manager it closes its connections at the end; if the block raises an exception, a job
    that has not finished is cancelled. ``async for event in job`` gives its events.

    Parameters
    ----------
    secret : str
        The token, or a secret of dist-keras's secrets file.
    job_name : str
        The name of the job and of its Spark application.
    data_path : str, Data or None
        The path of the rows on the cluster, a Parquet file, which are distributed into
        `num_executors` times `num_processes` partitions; or how to read them; or None for a
        program.
    num_executors, num_processes : int
        The number of executors, and of cores of each.
    trainer : Trainer, estimator, Estimator or Program
        The work: a trainer of :mod:`firesteel.distkeras`, an estimator of Firesteel or its
        description, or a program.
    cluster, memory, retries, conf, shuffle : optional
        As of :meth:`Client.submit`.
    ca, insecure, timeout : optional
        As of :class:`Client`.

    Examples
    --------
    >>> job = Job(secret, "mnist", "hdfs:///data/mnist.parquet", 4, 2, trainer)  # doctest: +SKIP
    >>> job.send("https://cluster:7438")  # doctest: +SKIP
    >>> job.wait_completion()  # doctest: +SKIP
    >>> model, history = job.get_trained_model(), job.get_history()  # doctest: +SKIP
    """

    def __init__(
        self,
        secret: str,
        job_name: str,
        data_path: str | Data | None,
        num_executors: int,
        num_processes: int,
        trainer: Any,
        *,
        cluster: str | None = None,
        memory: str | None = None,
        retries: int = 0,
        conf: Mapping[str, str] | None = None,
        shuffle: bool = False,
        ca: str | ssl.SSLContext | None = None,
        insecure: bool = False,
        timeout: float = TIMEOUT,
    ) -> None:
        self.secret = secret
        self.job_name = job_name
        self.data_path = data_path
        self.num_executors = num_executors
        self.num_processes = num_processes
        self.trainer = trainer
        self.cluster = cluster
        self.memory = memory
        self.retries = retries
        self.conf = conf
        self.shuffle = shuffle
        self.trained_model: Any = None
        self.history: Any = None
        self.address: str | None = None
        self.id: str | None = None
        self.thread: threading.Thread | None = None
        self._connection = {"ca": ca, "insecure": insecure, "timeout": timeout}
        self._client: Client | None = None
        self._key = uuid.uuid4().hex
        self._error: Exception | None = None
        self._is_fetched = False
        self._stop = threading.Event()

    @classmethod
    def attach(
        cls, secret: str, address: str, id: str, trainer: Any = None, **connection: Any
    ) -> Job:
        """Returns a job that was submitted earlier, for example before a notebook was restarted.

        Parameters
        ----------
        secret, address, id : str
            The token, the server and the job.
        trainer : optional
            The trainer that was sent. Only a job that trains a Keras model needs it, to return a
            Keras model; without it, :meth:`get_trained_model` returns a :class:`FetchedModel`.
        **connection
            `ca`, `insecure` and `timeout`.
        """
        job = cls(secret, "", None, 1, 1, trainer, **connection)
        job._connect(address)
        found = job._server.job(id)
        job.id, job.job_name = found.id, found.name
        job.start()
        return job

    def set_num_executors(self, num_executors: int) -> None:
        """Sets the number of executors."""
        self.num_executors = num_executors

    def set_num_processes(self, num_processes: int) -> None:
        """Sets the cores of each executor."""
        self.num_processes = num_processes

    def send(self, address: str) -> None:
        """Submits the job, and waits for its end in a thread.

        Parameters
        ----------
        address : str
            The server, such as ``https://cluster:7438``.

        Raises
        ------
        PunchcardError
            If the server does not accept the job, or is not reachable.
        TypeError, ValueError
            If a part of the work has no JSON form; the error names the argument.
        """
        if self.thread is not None and self.thread.is_alive():
            raise RuntimeError(f"the job runs already as {self.id}; wait for it or cancel it")
        data = self.data_path
        if isinstance(data, str) and not isinstance(self.trainer, Program):
            data = Data(data, partitions=self.num_executors * self.num_processes)
        self._connect(address)
        accepted = self._server.submit(
            self.job_name,
            self.trainer,
            data=data,
            shuffle=self.shuffle,
            cluster=self.cluster,
            executors=self.num_executors,
            cores=self.num_processes,
            memory=self.memory,
            retries=self.retries,
            conf=self.conf,
            idempotency_key=self._key,
        )
        self.id = accepted.id
        self._key = uuid.uuid4().hex
        self.trained_model = self.history = None
        self._is_fetched = False
        self.start()

    def start(self) -> None:
        """Starts the thread that waits for the end; :meth:`send` calls it."""
        self._error = None
        self._stop.clear()
        self.thread = threading.Thread(target=self._run_thread, name="punchcard", daemon=True)
        self.thread.start()

    def run(self) -> None:
        """Waits until the job has finished and fetches its results; the thread calls it.

        Raises
        ------
        JobFailedError
            If the job failed; it has the end of the log.
        JobCancelledError
            If the job was cancelled.
        """
        final = wait_until_final(self._server, self._sent_id, self._stop)
        if final is not None:
            self._fetch(final)

    def wait_completion(self, timeout: float | None = None) -> None:
        """Waits until the job has finished and its results are here.

        Parameters
        ----------
        timeout : float, optional
            The seconds to wait at most.

        Raises
        ------
        JobFailedError
            If the job failed; it has the end of the log.
        JobCancelledError
            If the job was cancelled.
        TimeoutError
            If the job did not finish in time. It keeps running.
        """
        if self.thread is None:
            raise RuntimeError("the job was not sent; call send(address)")
        self.thread.join(timeout)
        if self.thread.is_alive():
            raise TimeoutError(f"job {self.id} had not finished after {timeout} s")
        self._raise()

    def is_finished(self) -> bool:
        """Returns True if the job succeeded, failed or was cancelled."""
        return self.info.is_final

    @property
    def info(self) -> JobInfo:
        """The job as the server has it now."""
        return self._server.job(self._sent_id)

    @property
    def state(self) -> str:
        """The state, such as ``RUNNING``."""
        return self.info.state

    def cancel(self) -> None:
        """Cancels the job. :meth:`wait_completion` then raises a JobCancelledError."""
        self._server.cancel(self._sent_id)

    def get_trained_model(self) -> Any:
        """Returns the trained model of a job that has succeeded.

        Returns
        -------
        keras.Model, list of keras.Model or FetchedModel
            As the trainer's ``train`` gives it: a Keras model for a Keras model, a list of them
            from an :class:`~firesteel.distkeras.trainers.EnsembleTrainer`; for a Firesteel network
            a :class:`FetchedModel`. None for a program.

        Raises
        ------
        RuntimeError
            If the job has not finished yet.
        JobFailedError, JobCancelledError
            As of :meth:`wait_completion`.
        """
        self._require_results()
        return self.trained_model

    def get_history(self) -> Any:
        """Returns the history of a job that has succeeded; None for a program.

        Of a trainer it is that of ``get_history``; of an estimator a dict of ``losses``,
        ``validation_losses`` and ``metrics``, with a value for each epoch. It raises the errors of
        :meth:`get_trained_model`.
        """
        self._require_results()
        return self.history

    def destroy_remote_job(self) -> None:
        """Fetches the results if they are not here yet, and deletes the job on the server."""
        info = self.info
        if info.state == SUCCEEDED and not self._is_fetched:
            self._fetch(info)
        if isinstance(self.trained_model, FetchedModel):
            # Without a file system that the cluster shares there is none.
            with suppress(NotFoundError):
                self.trained_model.fetch_archive()
        self._server.delete(info.id)

    def log(self) -> str:
        """Returns the driver's log as far as the server keeps it."""
        return self._server.log_text(self._sent_id)

    def follow_log(self) -> Iterator[str]:
        """Returns the driver's log as it is written, until the job has finished."""
        return self._server.follow_log(self._sent_id)

    def events(self, after: int = 0) -> Iterator[Event]:
        """Returns the job's events as they come, until it has finished."""
        return self._server.events(self._sent_id, after)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._server.events_async(self._sent_id)

    def close(self) -> None:
        """Stops waiting and closes the connections; the job keeps running."""
        self._stop.set()
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join()
        if self._client is not None:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is not None and self.id is not None and not self.info.is_final:
                self.cancel()
        except PunchcardError as failure:
            if error is not None:
                error.add_note(f"job {self.id} may still be running: {failure}")
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"Job({self.job_name!r}, id={self.id!r})"

    @property
    def _server(self) -> Client:
        if self._client is None:
            raise RuntimeError("the job was not sent; call send(address)")
        return self._client

    @property
    def _sent_id(self) -> str:
        if self.id is None:
            raise RuntimeError("the job was not sent; call send(address)")
        return self.id

    def _connect(self, address: str) -> None:
        if self._client is not None:
            self._client.close()
        self._client = Client(address, self.secret, **self._connection)  # type: ignore[arg-type]
        self.address = address

    def _run_thread(self) -> None:
        try:
            self.run()
        except Exception as error:
            self._error = error

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _require_results(self) -> None:
        """Fetches the results of a job that has succeeded, unless they are here."""
        self._raise()
        if self._is_fetched:
            return
        info = self.info
        if not info.is_final:
            raise RuntimeError(
                f"job {info.id} is {info.state} and has no results yet; call wait_completion() "
                "first"
            )
        if self.thread is not None and self.thread.is_alive():
            self.thread.join()
            self._raise()
        if not self._is_fetched:
            self._fetch(info)

    def _fetch(self, final: JobInfo) -> None:
        """Fetches the results of a final job."""
        client = self._server
        raise_unless_succeeded(client, final)
        if final.kind != _PROGRAM and not isinstance(self.trainer, Program):
            history = fetch_history(client, final.id)
            self.trained_model = as_trained(FetchedModel.fetch(client, final.id), self.trainer)
            self.history = history
        self._is_fetched = True
