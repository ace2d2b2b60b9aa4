"""One question to one server: its list of models first, then the question, and once the same without pictures.

What the configuration has wrong is told to the user at once: an unknown model, a key that is not taken, a url that is
none, a request field that the server does not know. Whether a refused request is the picture's fault is found by asking
about a drawing: a server that refuses that as well refuses everything.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import aiohttp

from captioning.canaries import DRAWN_QUESTION, drawn
from captioning.pictures import shown
from captioning.questions import Question, Reply, Sampling
from captioning.server_list import UnknownModel, listed
from captioning.server_pool import Pool, Server
from captioning.server_post import Refused, exchange, session
from captioning.server_reply import read_reply
from captioning.server_request import Part, body, body_without_pictures, picture_parts, words_of
from captioning.server_retry import Fault, pause_s
from captioning.server_tokens import Key, TextTokens
from shards.intake import Skip
from shards.reasons import Reason
from shards.stage import UserError

if TYPE_CHECKING:
    from captioning.server_engine import ServerEngine

LOG = logging.getLogger(__name__)
LIST_S = 30.0  # deadline of a list of models
LOOKS = 3  # at a server's list when a worker starts
UNLISTED = (400, 404, 405, 501)  # of a server that lists no models


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A question whose pictures are encoded."""

    question: Question
    body: bytes
    words: list[Part]  # what it says beside its text: the times of frames

    @property
    def key(self) -> Key:
        """All that it says in words."""
        return (self.question.system, self.question.text, *(part["text"] for part in self.words))


def prepared(question: Question, options: ServerEngine) -> Prepared:
    """Decode and encode; for a thread. Raises what `question.show` raises."""
    parts = picture_parts(question.show(), video_url=options.video_url)
    return Prepared(question=question, body=body(question, parts, options), words=words_of(parts))


class Asker:
    """Asks servers; belongs to the event loop."""

    def __init__(self, options: ServerEngine, opened: aiohttp.ClientSession) -> None:
        self.options = options
        self.opened = opened
        self.pool = Pool(options.urls, in_flight=options.in_flight, silent_s=options.deadline_s)
        self.tokens = TextTokens()
        self.said: dict[str, str] | None = None  # what the servers say of the model
        self.proving = asyncio.Lock()

    async def begin(self) -> None:
        """Look at every server's list; raises UserError where one has it wrong, or none answers."""
        faults = await asyncio.gather(*(self._first_look(server) for server in self.pool.servers))
        silent = [(server, fault) for server, fault in zip(self.pool.servers, faults, strict=True) if fault is not None]
        if len(silent) == len(faults):
            told = "; ".join(f"{server.url}: {fault}" for server, fault in silent)
            raise UserError(f"no server answers ({told}): start one, or mend `urls`")
        for server, fault in silent:
            LOG.warning("%s does not answer (%s): the others go on, and it is tried again", server.url, fault)

    async def ask(self, server: Server, ready: Prepared) -> Reply | Skip:
        """The reply, or why the server will give none to this question. Raises Fault and UserError."""
        if not server.looked_at:
            await self._look_again(server)
        try:
            reply, tokens = await self._post(server, ready.body)
        except Refused as refused:
            if refused.is_general and server.proven:
                raise Fault(Reason.HTTP_FAILED, f"HTTP {refused.status} of a server that had answered") from None
            if refused.is_general:
                raise UserError(self._wrong(server, refused)) from None
            await self._prove(server)
            return Skip(Reason.HTTP_REFUSED, f"HTTP {refused.status}")
        self.pool.answered(server)
        alone = partial(self._alone, server, ready)
        return replace(reply, picture_tokens=await self.tokens.of_pictures(ready.key, tokens, alone))

    async def _post(self, server: Server, data: bytes) -> tuple[Reply, int | None]:
        url = f"{server.url}/chat/completions"
        answer = await exchange(self.opened, url, body=data, deadline_s=self.options.deadline_s)
        try:
            return read_reply(answer)
        except Skip as skip:
            raise Fault(skip.reason, skip.detail) from None

    async def _alone(self, server: Server, ready: Prepared) -> int | None:
        """Tokens of the question without its pictures; None where the server does not say."""
        data = body_without_pictures(ready.question, ready.words, self.options)
        try:
            _, tokens = await self._post(server, data)
        except (Fault, Refused) as error:
            LOG.warning(
                "%s does not answer without a picture (%s): only known pictures tell if it looks", server.url, error
            )
            return None
        return tokens

    async def _prove(self, server: Server) -> None:
        """Ask about a drawing, unless the server has answered before; raises UserError where it refuses that, too."""
        async with self.proving:
            if server.proven:
                return
            frames = drawn(0)[0].frames()
            picture = shown(frames, max_pixels=self.options.max_pixels, clip_frames=self.options.clip_frames)
            plain = Question(show=lambda: picture, text=DRAWN_QUESTION, sampling=Sampling(max_new_tokens=16))
            try:
                await self._post(server, prepared(plain, self.options).body)
            except Refused as refused:
                raise UserError(self._wrong(server, refused)) from None
            self.pool.answered(server)

    async def _first_look(self, server: Server) -> Fault | None:
        for number in range(1, LOOKS + 1):
            try:
                await self._look(server)
            except Fault as fault:
                last = fault
                if number < LOOKS:
                    await asyncio.sleep(pause_s(number, fault.asked_s))
            else:
                return None
        self.pool.rest(server, LIST_S)
        return last

    async def _look_again(self, server: Server) -> None:
        """Look at the list of a server that was away; one that came back as another is never asked again."""
        try:
            await self._look(server)
        except UserError as error:
            self.pool.rest(server, math.inf)
            if all(math.isinf(each.rests_until) for each in self.pool.servers):
                raise
            LOG.warning("%s is left out: %s", server.url, error)
            raise Fault(Reason.CONNECTION_FAILED, "a server that came back as another") from None

    async def _look(self, server: Server) -> None:
        """Raises Fault, and UserError where the server has not the model that is meant."""
        model = self.options.model
        deadline_s = min(LIST_S, self.options.deadline_s)
        try:
            said = listed(await exchange(self.opened, f"{server.url}/models", deadline_s=deadline_s), model)
        except UnknownModel as there:
            raise UserError(f"model: {server.url} has no {model!r}; it has {there}") from None
        except Skip as skip:
            raise Fault(skip.reason, skip.detail) from None
        except Refused as refused:
            if refused.status not in UNLISTED:
                raise UserError(self._wrong(server, refused)) from None
            LOG.warning("%s lists no models: whether it is the same model as before is not known", server.url)
        else:
            if self.said is None:
                self.said = said
            if said != self.said:
                raise UserError(f"urls: {server.url} says of {model!r} {said}, another {self.said}: start them alike")
        server.looked_at = True

    def _wrong(self, server: Server, refused: Refused) -> str:
        """What the user can mend. Only what is no answer to a row's question is quoted."""
        status = f"{server.url} answers with HTTP {refused.status}"
        if refused.status == 401:
            name = self.options.api_key_env
            lacking = "name the environment variable that holds its key: api_key_env"
            return f"{status}: it does not take the key in ${name}" if name else f"{status}: {lacking}"
        if 300 <= refused.status < 400:
            return f"{status}, which leads to {refused.location[:200]!r} and is not followed: write that url in `urls`"
        if refused.status in (404, 405):
            return f"{status}: write its url up to and with /v1 in `urls`, and `model` as its list of models has it"
        said = f" ({refused.said})" if refused.said else ""
        mend = "mend model, request (null leaves a field out) or chat_template_kwargs ({} sends none)"
        return f"{status} to a plain question with a picture{said}: {mend}"


@asynccontextmanager
async def asker(options: ServerEngine, key: str) -> AsyncIterator[Asker]:
    """An asker whose servers were looked at; raises UserError."""
    async with session(key) as opened:
        made = Asker(options, opened)
        await made.begin()
        yield made
