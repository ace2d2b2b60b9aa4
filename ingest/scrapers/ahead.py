"""Requests under way before their answers are needed: each host has a queue of its own, so a slow one holds up none.

A thread takes the next host that has something to ask and has not as many requests under way as its rule allows. What
is asked for first is answered first within a host; between hosts the turns go round. A thread that has done a job looks
for the next one itself, so nobody is woken for the place that it leaves: all who wait, woken each time, cost more than
the requests.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Runs jobs in threads, host by host; a context manager that waits for what is under way and drops the rest."""

    def __init__(self, threads: int, in_flight: Callable[[str], int]) -> None:
        """`in_flight` says how many jobs of a host may run at a time."""
        self.in_flight = in_flight
        self.size = threads
        self._threads: list[threading.Thread] = []
        self._queues: OrderedDict[str, deque[tuple[Callable[[], T], Future[T]]]] = OrderedDict()
        self._running: dict[str, int] = {}
        self._changed = threading.Condition()
        self._closed = False

    def __enter__(self) -> Ahead[T]:
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._closed = True
            waiting = [future for queue in self._queues.values() for _, future in queue]
            self._queues.clear()
            self._changed.notify_all()
        for future in waiting:
            future.cancel()
        for thread in self._threads:
            thread.join()

    def submit(self, host: str, job: Callable[[], T]) -> Future[T]:
        """Run `job` when its host's turn comes."""
        future: Future[T] = Future()
        with self._changed:
            self._queues.setdefault(host, deque()).append((job, future))
            if len(self._threads) < self.size:
                thread = threading.Thread(target=self._work, daemon=True, name=f"fetch-{len(self._threads)}")
                self._threads.append(thread)
                thread.start()
            self._changed.notify()
        return future

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            host, job, future = taken
            try:
                if future.set_running_or_notify_cancel():
                    try:
                        future.set_result(job())
                    except BaseException as error:  # noqa: BLE001  # raised where the answer is asked for
                        future.set_exception(error)
            finally:
                with self._changed:
                    self._running[host] -= 1
                    if not self._running[host]:
                        del self._running[host]

    def _take(self) -> tuple[str, Callable[[], T], Future[T]] | None:
        with self._changed:
            while not self._closed:
                for host, queue in self._queues.items():
                    if self._running.get(host, 0) < self.in_flight(host):
                        job, future = queue.popleft()
                        if queue:
                            self._queues.move_to_end(host)
                        else:
                            del self._queues[host]
                        self._running[host] = self._running.get(host, 0) + 1
                        return host, job, future
                self._changed.wait()
            return None
