"""Which language a text is in, by py3langid (Lui and Baldwin, "langid.py", ACL 2012) and the model in its package."""

from __future__ import annotations

from functools import cache
from typing import Any

SURE = 0.5  # of 1: more likely than all other languages together
SHORTEST = 20  # characters; fewer say nothing


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language_of(text: str) -> str | None:
    """ISO 639-1 code; None where the text is too short or the answer is not sure."""
    if len(text) < SHORTEST:
        return None
    code, share = _identifier().classify(text)
    return str(code) if share >= SURE else None
