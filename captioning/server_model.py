"""A model behind one or several servers: many questions at once, one request each.

Pictures are decoded and encoded in threads, replies are heard in one thread, and requests live on an event loop of
their own. A question has room from before its pictures are decoded until its reply is stored, and a request has its
place at a server until then, so that what a killed run has to ask again is what was in flight. There is room for a few
more questions than places, so that no server waits for a decoder, and memory holds no more pictures than that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from captioning.questions import Reply, Talk
from captioning.server_ask import Asker, Prepared, asker, prepared
from captioning.server_loop import END_S, LoopThread, loop_thread
from captioning.server_pool import Server, Silent
from captioning.server_retry import Fault, pause_s
from shards.canonical import canonical_json
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import Context, UserError

if TYPE_CHECKING:
    from captioning.server_engine import ServerEngine

LOG = logging.getLogger(__name__)
AHEAD = 8  # questions with decoded pictures beyond those in flight, at most
WINDOW = 4  # talks begun for each question in flight: a slow one holds back no more
LOOK_S = 0.2  # between two looks at whether the run goes on

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def connected(options: ServerEngine, ctx: Context) -> Iterator[ServerModel]:
    """The model, with its servers looked at; raises UserError where the configuration is wrong."""
    key = _key(options.api_key_env)
    stack = AsyncExitStack()
    threads = max(2, min(8, os.cpu_count() or 1))
    with (
        ThreadPoolExecutor(threads, "medloom show") as showing,
        ThreadPoolExecutor(1, "medloom hear") as hearing,
        loop_thread() as thread,
    ):
        try:
            made = _waited(thread.start(stack.enter_async_context(asker(options, key))), thread, ctx)
            yield ServerModel(options, ctx, made, thread, showing, hearing)
        finally:
            thread.finish(stack.aclose())


class ServerModel:
    """Answers talks over HTTP."""

    def __init__(
        self,
        options: ServerEngine,
        ctx: Context,
        made: Asker,
        thread: LoopThread,
        showing: ThreadPoolExecutor,
        hearing: ThreadPoolExecutor,
    ) -> None:
        self.options = options
        self.ctx = ctx
        self.asker = made
        self.thread = thread
        self.showing = showing
        self.hearing = hearing
        self.places = options.in_flight * len(options.urls)
        self.room = asyncio.Semaphore(self.places + min(self.places, AHEAD))
        self.tasks: set[asyncio.Task[None]] = set()
        self.failures: Counter[str] = Counter()
        asked = [dict(options.chat_template_kwargs), dict(options.request), options.video_url]
        said = {f"server's {name}": value for name, value in (made.said or {}).items()}
        self.facts = {
            "engine": options.kind,
            "model": options.model,
            "revision": options.revision,
            "asked": canonical_json(asked),
            **said,
        }

    def answer(self, talks: Iterable[Talk]) -> Generator[Talk, None, None]:
        """Each of `talks`, finished, in their order.

        Raises UserError, what a talk or its pictures raise beside Skip, and what `Context.check` raises.
        """
        waiting: deque[tuple[Talk, Future[None] | None]] = deque()
        broken: list[BaseException] = []
        wake = threading.Event()

        def ended(done: Future[None]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                broken.append(error)
            wake.set()

        source = iter(talks)
        try:
            while True:
                while len(waiting) < WINDOW * self.places and (talk := next(source, None)) is not None:
                    future = None
                    if talk.question is not None:
                        future = self.thread.start(self._finish(talk))
                        future.add_done_callback(ended)
                    waiting.append((talk, future))
                if not waiting:
                    return
                talk, future = waiting.popleft()
                while not broken and future is not None and not future.done():
                    self.ctx.check()
                    self.thread.check()
                    wake.wait(LOOK_S)
                    wake.clear()
                if broken:
                    raise broken[0]
                yield talk
        finally:
            self._end()

    def _end(self) -> None:
        """Cancel what is under way. When this returns no talk hears anything more."""
        self.thread.finish(self._cancel())
        self.hearing.submit(_nothing).result(END_S)
        if self.failures:
            told = ", ".join(f"{count} {what}" for what, count in self.failures.most_common())
            LOG.warning("requests that failed, each made again unless its tries ran out: %s", told)
            self.failures.clear()

    async def _cancel(self) -> None:
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self, talk: Talk) -> None:
        """Ask what `talk` has to ask until it is finished."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while (question := talk.question) is not None:
                async with self.room:
                    try:
                        ready = await _in(self.showing, prepared, question, self.options)
                    except Skip as skip:
                        await _in(self.hearing, talk.hear, skip)
                    else:
                        await self._settle(talk, ready)
        finally:
            self.tasks.discard(task)

    async def _settle(self, talk: Talk, ready: Prepared) -> None:
        """Ask one question until there is a reply or its tries run out, and let the talk hear it."""
        pool = self.asker.pool
        failed: Counter[Reason] = Counter()
        last: Server | None = None
        while True:
            try:
                last = server = await pool.take(but=last)
            except Silent:
                await _in(self.hearing, talk.hear, Skip(Reason.CONNECTION_FAILED, "no server answers any more"))
                return
            try:
                heard = await self._once(server, ready, failed)
                if not isinstance(heard, Fault):
                    await _in(self.hearing, talk.hear, heard)
                    return
            finally:
                pool.free(server)
            if failed.total() > 1 or not pool.has_other(server):
                await asyncio.sleep(pause_s(failed.total(), heard.asked_s))

    async def _once(self, server: Server, ready: Prepared, failed: Counter[Reason]) -> Reply | Skip | Fault:
        """One request: the reply, why there is none, or a Fault where the question is to be asked again."""
        try:
            return await self.asker.ask(server, ready)
        except Fault as fault:
            self.failures[str(fault)] += 1
            if not fault.busy:
                self.asker.pool.failed(server)
            elif fault.asked_s is not None:
                self.asker.pool.rest(server, fault.asked_s)
            reason = fault.skip.reason
            failed[reason] += 1
            return fault if failed[reason] < fault.most else fault.skip


async def _in(executor: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, partial(work, *args, **kwargs))


def _nothing() -> None:
    """When this was done, so was all that was submitted before."""


def _waited(future: Future[T], thread: LoopThread, ctx: Context) -> T:
    """The result of `future`, waited for as long as the run goes on."""
    try:
        while True:
            ctx.check()
            thread.check()
            with suppress(TimeoutError):
                return future.result(LOOK_S)
    finally:
        future.cancel()


def _key(name: str) -> str:
    """The key in the environment variable `name`; raises UserError where there is none."""
    if not name:
        return ""
    key = os.environ.get(name, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise UserError(f"api_key_env: the environment variable {name} holds no key: set it where the workers run")
    return key
