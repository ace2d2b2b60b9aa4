"""How many tokens of a prompt stand for its pictures: those of the question less those of the same without pictures.

A server that drops pictures counts the same for both. A text alone is asked about once, since all pictures of a prompt
share theirs; where prompts differ from row to row only some are, so that this costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

LOG = logging.getLogger(__name__)
AT_ONCE = 4  # texts of a worker's first questions; those of the known pictures are the very first
EVERY = 256  # questions, after each of which one more new text is asked about

Key = tuple[str, ...]  # all that a question says in words


class TextTokens:
    """Tokens of texts without pictures. Belongs to the event loop."""

    def __init__(self) -> None:
        self.alone: dict[Key, asyncio.Future[int | None]] = {}
        self.questions = 0
        self.asked = 0
        self.told = False

    async def of_pictures(
        self, key: Key, prompt_tokens: int | None, ask_alone: Callable[[], Awaitable[int | None]]
    ) -> int | None:
        """Tokens of the pictures of a question that cost `prompt_tokens`; None where nobody knows.

        `ask_alone` gives what the text costs without pictures, or None.
        """
        self.questions += 1
        if prompt_tokens is None:
            if not self.told:
                LOG.warning("the server counts no tokens (usage.prompt_tokens): only known pictures tell if it looks")
                self.told = True
            return None
        if key not in self.alone:
            if self.asked >= AT_ONCE + self.questions // EVERY:
                return None
            self.asked += 1
            asking = self.alone[key] = asyncio.get_running_loop().create_future()
            tokens = None
            try:
                tokens = await ask_alone()
            finally:
                asking.set_result(tokens)
                if tokens is None:
                    del self.alone[key]  # another question may try again
            return None if tokens is None else prompt_tokens - tokens
        alone = await asyncio.shield(self.alone[key])
        return None if alone is None else prompt_tokens - alone
