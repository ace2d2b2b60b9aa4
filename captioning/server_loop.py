"""An event loop in a thread of its own, so that a stage without asyncio has many requests under way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
END_S = 10.0


class LoopThread:
    """The thread and its loop; made by `loop_thread`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="medloom requests", daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin `work` on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` to its end, for END_S at most; in this thread where the loop's own has died."""
        if self.thread.is_alive():
            self.start(work).result(END_S)
        else:
            self.loop.run_until_complete(asyncio.wait_for(work, END_S))

    def check(self) -> None:
        """Raise RuntimeError where the thread died, since what waits for it would wait for ever."""
        if not self.thread.is_alive():
            raise RuntimeError("the thread of the requests has died")


@contextmanager
def loop_thread() -> Iterator[LoopThread]:
    """A loop that runs until the block is left; what is still under way then is cancelled."""
    made = LoopThread()
    made.thread.start()
    try:
        yield made
    finally:
        if made.thread.is_alive():
            made.loop.call_soon_threadsafe(made.loop.stop)
            made.thread.join(END_S)
        if not made.thread.is_alive():
            left = asyncio.all_tasks(made.loop)
            for task in left:
                task.cancel()
            if left:
                made.loop.run_until_complete(asyncio.wait(left, timeout=END_S))
            made.loop.close()
