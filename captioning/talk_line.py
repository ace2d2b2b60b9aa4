"""Talks in a line: which questions are asked together, and when which talk is done.

Talks that have another question come before new ones, so that the head of the line, which everybody waits for, is
finished soon. Talks leave in their order. The line is bounded, since each waiting talk may hold a picture.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from captioning.questions import Talk


class TalkLine:
    """Takes at most `room` talks at a time from `talks`."""

    def __init__(self, talks: Iterable[Talk], *, room: int) -> None:
        self.coming = iter(talks)
        self.room = room
        self.line: deque[Talk] = deque()
        self.exhausted = False
        self.again: deque[Talk] = deque()

    def take(self, count: int) -> list[Talk]:
        """Up to `count` talks with a question; fewer where no more may be asked now."""
        found: list[Talk] = []
        while len(found) < count:
            talk = self.again.popleft() if self.again else self._next()
            if talk is None:
                break
            if talk.question is not None:
                found.append(talk)
        return found

    def back(self, talks: Sequence[Talk]) -> None:
        """`talks` have heard a reply; those with another question are taken next."""
        self.again.extend(talk for talk in talks if talk.question is not None)

    def finished(self) -> Iterator[Talk]:
        """Those at the head of the line that have no question left."""
        while self.line and self.line[0].question is None:
            yield self.line.popleft()

    @property
    def over(self) -> bool:
        """All have left, and none will come."""
        return self.exhausted and not self.line

    def _next(self) -> Talk | None:
        if self.exhausted or len(self.line) >= self.room:
            return None
        talk = next(self.coming, None)
        if talk is None:
            self.exhausted = True
        else:
            self.line.append(talk)
        return talk
