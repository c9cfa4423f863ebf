"""A process that calls the functions of a module one after another for another one, which may lose patience."""

import importlib
import multiprocessing
import os
from collections.abc import Mapping
from multiprocessing.connection import Connection

CONTEXT = multiprocessing.get_context("spawn")


class WorkerError(Exception):
    """Why a call has no answer."""


def serve(connection: Connection, module: str) -> None:
    """Call what is named until nobody asks; answer with what it returns, or with the reason why it fails."""
    while True:
        try:
            name, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = getattr(importlib.import_module(module), name)(*arguments), None
        except Exception as error:
            answer = None, f"{type(error).__name__}: {error}"
        connection.send(answer)


class Worker:
    """Starts when it is first called; it is killed, and started anew by the next call, when one fails or is too slow.

    Args:
        module: whose functions it calls; only its process imports it.
        environment: variables that its process has beside those of this one.
    """

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        self.module, self.environment = module, environment
        self.process, self.connection = None, None

    def start(self) -> None:
        """Start the process."""
        self.connection, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=serve, args=(theirs, self.module), daemon=True)
        ours = dict(os.environ)
        os.environ.update(self.environment)
        self.process.start()
        os.environ.clear()
        os.environ.update(ours)
        theirs.close()  # so that the end of the process is the end of the pipe

    def stop(self) -> None:
        """Kill the process, if there is one."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
        self.process = None

    def call(self, limit: float, name: str, *arguments: object) -> object:
        """What the function of that name returns in the process.

        Raises:
            WorkerError: it has failed, the process has died, or so many seconds were not enough.
        """
        if self.process is None:
            self.start()
        self.connection.send((name, arguments))
        if not self.connection.poll(limit):
            self.stop()
            raise WorkerError(f"stopped after {limit:.0f} s")
        try:
            answer, reason = self.connection.recv()
        except EOFError:
            self.process.join()
            answer, reason = None, f"its process died with status {self.process.exitcode}"
        if reason is not None:
            self.stop()
            raise WorkerError(reason)
        return answer
