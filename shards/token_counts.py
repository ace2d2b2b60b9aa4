"""How many tokens a text encoder makes of captions, and which share of them it cuts: findings at the end are lost then.

Counted by the encoder's own `tokenizer.json` through the `tokenizers` package, which needs no torch. Where the package
or the file is missing nothing is measured: words say too little of tokens, since `pneumothorax` is four of some.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from shards.uri import local_path

TOKENIZER_FILE = "tokenizer.json"


def token_counts(texts: Sequence[str], encoder: str) -> list[int] | None:
    """Tokens of each text, the encoder's marks of start and end included; None where they cannot be counted.

    `encoder` is the folder of the encoder's files, a path or `package://`.
    """
    try:
        folder = local_path(encoder)
    except ModuleNotFoundError:  # the package that holds the encoder
        return None
    file = None if folder is None else folder / TOKENIZER_FILE
    if find_spec("tokenizers") is None or file is None or not file.is_file():
        return None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()  # the file may hold what its owner cut and filled up to
    tokenizer.no_padding()
    return [len(found.ids) for found in tokenizer.encode_batch(list(texts))]


def share_cut(texts: Sequence[str], encoder: str, max_tokens: int) -> float | None:
    """Share of texts with more than `max_tokens` tokens; None where that is not measured, or there are no texts."""
    counts = token_counts(texts, encoder) if texts else None
    return None if counts is None else sum(count > max_tokens for count in counts) / len(counts)
