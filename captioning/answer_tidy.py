"""What is taken off an answer before it is judged: wrapping that says nothing of the picture.

Signs of markup, emoji, quotes around the whole, an opening such as `Here is a caption:` and a heading before the first
words. What was taken off is told, so that it stands in the caption's checks. A list is none of this: it is refused by
captioning/answer_form.py.
"""

from __future__ import annotations

import re
import unicodedata

PREAMBLE = re.compile(
    r"^(?:(?:sure|certainly|of course|okay|ok|absolutely|great)\b[!,.]?\s*)?"
    r"(?:here(?:'s| is| are)|this is|below is|the following is)?\s*(?:(?:a|an|the|my|your|one)\s+)?"
    r"(?:\w+[ -]){0,4}?(?:captions?|descriptions?|answer|summary|response|findings?|observations?|overview)"
    r"(?:,? (?:of|for|you|that|in|based|as|without)\b[^.:\n]{0,60})?:\s*",
    re.IGNORECASE,
)
POLITE = re.compile(r"^(?:sure|certainly|of course|okay|absolutely)\s*(?:[!.]|,(?=\s))\s*", re.IGNORECASE)
MARKUP = (
    (re.compile(r"^\s*```\w*\s*|\s*```\s*$"), ""),
    (re.compile(r"</?(?:p|b|i|em|strong|br|div|span|caption|answer)\s*/?>", re.IGNORECASE), " "),
    (re.compile(r"^\s{0,3}#{1,6}\s+", re.MULTILINE), ""),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", re.DOTALL), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"`([^`\n]+)`"), r"\1"),
    (re.compile(r"\A\s*[-*•]\s+(?=[^\n]*\Z)"), ""),  # of one line; several are a list
)
HEADING_WORDS = 4  # of a first line that ends without a sign, before one that begins anew
QUOTES = (('"', '"'), ("“", "”"), ("'", "'"), ("‘", "’"))
ENDINGS = re.compile(r"<\|?(?:im_end|end|eot_id|endoftext|eos)\|?>|</s>", re.IGNORECASE)


def tidied(text: str) -> tuple[str, tuple[str, ...]]:
    """`text` with its lines kept but its wrapping gone, in Unicode's form NFKC; and what was taken off."""
    whole = unicodedata.normalize("NFKC", ENDINGS.sub(" ", text)).replace("\r\n", "\n").strip()
    plain = whole
    for pattern, instead in MARKUP:
        plain = pattern.sub(instead, plain)
    removed = ["markup"] if plain != whole else []
    spoken = "".join(sign for sign in plain if not _is_ornament(sign))
    if spoken != plain:
        removed.append("emoji")
    spoken = _unquoted(spoken.strip())
    bare = PREAMBLE.sub("", POLITE.sub("", spoken, count=1), count=1)
    if bare != spoken:
        removed.append("preamble")
    lines = [line for raw in _unquoted(bare.strip()).splitlines() if (line := " ".join(raw.split()))]
    if (
        len(lines) > 1
        and len(lines[0].split()) <= HEADING_WORDS
        and lines[0][-1].isalnum()
        and not lines[1][0].islower()
    ):
        removed.append("heading")
        del lines[0]
    return "\n".join(lines), tuple(f"taken off: {what}" for what in removed)


def _unquoted(text: str) -> str:
    for opens, closes in QUOTES:
        if len(text) > 1 and text.startswith(opens) and text.endswith(closes) and closes not in text[1:-1]:
            return text[1:-1].strip()
    return text


def _is_ornament(sign: str) -> bool:
    """Emoji, pictographs and signs that are not seen; a degree sign and arithmetic are none."""
    kind = unicodedata.category(sign)
    return sign != "\n" and (kind in ("So", "Sk", "Cf", "Cc", "Co", "Cs", "Cn") and sign not in "°©^`")
