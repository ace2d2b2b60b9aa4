"""What became of a sample's captions from one stage to the next."""

from __future__ import annotations

from collections.abc import Sequence

from shards.manifest import Caption


def changes(before: Sequence[Caption], after: Sequence[Caption]) -> list[str]:
    """In words: captions that came, with their remarks; those that stayed and got new remarks; those that went."""
    known = {caption.text: caption for caption in before}
    found = []
    for caption in after:
        if caption.text not in known:
            found.append(f"caption by {caption.by}: {caption.text}{_remarks(caption.checks)}")
        elif new := [check for check in caption.checks if check not in known[caption.text].checks]:
            found.append(f"caption by {caption.by} stayed{_remarks(new)}")
    return found + [f"caption by {gone.by} removed: {gone.text}" for gone in only_in(before, after)]


def only_in(these: Sequence[Caption], those: Sequence[Caption]) -> list[Caption]:
    """Captions of `these` whose text is not among `those`."""
    texts = {caption.text for caption in those}
    return [caption for caption in these if caption.text not in texts]


def _remarks(checks: Sequence[str]) -> str:
    return f" ({'; '.join(checks)})" if checks else ""
