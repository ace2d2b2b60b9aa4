"""From values to HTML: Jinja2 templates of this folder, every text escaped, the style sheet inline.

A page may load nothing: its own content security policy forbids all but data urls, so a caption or a label of the data
cannot make a reader's browser ask anybody for anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines.report.chart import short
from pipelines.report.scores import estimated, percent, ranged


def render(template: str, **values: Any) -> str:
    """The page; a name that the template uses and `values` lacks is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, megabytes=_megabytes, cut=_cut, sentence=_sentence, short=short)
    environment.filters.update(ranged=ranged, estimated=estimated, percent=percent)
    return environment.get_template(template).render(**values)


def _number(value: float) -> str:
    return f"{value:,}"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:,.0f} kB"


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def _sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".") if text else ""
