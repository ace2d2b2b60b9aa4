"""What a chat-completions server answered, read with distrust: only `message.content` is what the model said.

Thoughts that a server hands over beside it (`reasoning`, `reasoning_content`) are left alone. An answer of any other
form than the agreed one is ANSWER_MALFORMED, which says what was wrong and quotes nothing.
"""

from __future__ import annotations

import json
from typing import Any

from captioning.questions import REFUSED, Reply
from shards.intake import Skip
from shards.reasons import Reason

BROKEN_OFF = ("abort", "error", "cancelled")  # of servers that are told to stop (vLLM, SGLang)
MOST_BYTES = 1 << 20  # of an answer; a caption has a thousandth of it


def read_reply(data: bytes) -> tuple[Reply, int | None]:
    """The reply, and the tokens of its prompt where the server counts them; raises Skip(ANSWER_MALFORMED)."""
    answer = parsed(data)
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise malformed("no choices")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise malformed("no message")
    finish = choice.get("finish_reason")
    if finish in BROKEN_OFF:
        raise malformed(f"finish reason {finish}: the server broke it off")
    refusal = message.get("refusal")
    reply = Reply(text=_content(message.get("content")), finish=finish if isinstance(finish, str) else "not given")
    if isinstance(refusal, str) and refusal.strip():
        reply = Reply(text=refusal, finish=REFUSED)
    if reply.text is not None and not _is_sound(reply.text):
        raise malformed("text that is no Unicode")
    return reply, _prompt_tokens(answer.get("usage"))


def parsed(data: bytes) -> dict[str, Any]:
    """A JSON object; raises Skip(ANSWER_MALFORMED)."""
    if len(data) > MOST_BYTES:
        raise malformed(f"more than {MOST_BYTES} bytes")
    if data.lstrip().startswith((b"data:", b"event:", b":")):
        raise malformed("a stream of events, which was not asked for")
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        raise malformed("no JSON, or cut short") from None
    if not isinstance(answer, dict):
        raise malformed("no JSON object")
    return answer


def complaint(data: bytes) -> str:
    """What a server that refused a request says of it, in one line; empty where it says nothing that is understood."""
    try:
        answer = parsed(data)
    except Skip:
        return ""
    error = answer.get("error", answer)
    said = error if isinstance(error, str) else ""
    if isinstance(error, dict):
        said = next((error[key] for key in ("message", "detail") if isinstance(error.get(key), str)), "")
    return " ".join(said.split())[:300]


def malformed(what: str) -> Skip:
    """The reason, with what was wrong."""
    return Skip(Reason.ANSWER_MALFORMED, what)


def _content(content: Any) -> str | None:
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise malformed("content that is neither text nor a list of parts")
    texts = []
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise malformed("a part of the content that is no text")
        texts.append(part["text"])
    return "".join(texts)


def _is_sound(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _prompt_tokens(usage: Any) -> int | None:
    """None where nobody counts; 0 is what some servers say of a prompt that they still had in their cache."""
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return tokens if type(tokens) is int and tokens > 0 else None
