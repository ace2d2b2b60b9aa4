"""The record as a page of Markdown tables, for reading in a terminal or on a forge."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from eval.record import Copying, Estimate, Fidelity, Probe, Range, Record, Row, SpaceFacts, Stratum, Summary, Verdict

NONE = "–"


def markdown(record: Record) -> str:
    """The whole page. What is missing is a dash; every figure is beside its n."""
    lines = ["# Evaluation", "", f"**{record.statement}**", ""]
    lines += [f"- {note}" for note in record.notes]
    lines += ["", "## Distances", ""]
    for space in record.spaces:
        lines += _space(space, [row for row in record.rows if row.space == space.name])
        lines += [_verdict(each, space.metric) for each in record.verdicts if each.space == space.name]
        lines.append("")
    lines += _autoencoder(record.autoencoder)
    if record.probe:
        lines += _probe(record.probe)
    lines += _copying(record.copying)
    lines += _strata(record.strata, record.summaries)
    lines += ["## Made with", ""]
    for values in (record.model, record.settings, record.data, record.versions):
        lines += [f"- {name}: {_text(value)}" for name, value in values.items() if value not in ("", [])]
    for space in record.spaces:
        lines.append(f"- {space.name}: {', '.join(f'{name} {value}' for name, value in space.facts.items())}")
    return "\n".join(lines) + "\n"


def _space(space: SpaceFacts, rows: Sequence[Row]) -> list[str]:
    head = (
        space.name,
        "role",
        "n",
        space.metric,
        "95 % at this n",
        f"{space.metric}, n to infinity",
        "KID",
        "precision",
        "recall",
        "density",
        "coverage",
    )
    body = []
    for row in rows:
        first = row.scores[0]
        interval = f"{_number(first.fd_low)} to {_number(first.fd_high)}" if first.fd_low is not None else NONE
        shares = [_mean(getattr(score, name) for score in row.scores) for name in head[-4:]]
        body.append(
            (
                f"{row.sample} against {row.against}",
                row.role,
                str(first.n),
                _range(row.fd),
                interval,
                _mean(score.fd_infinity for score in row.scores),
                _range(row.kid),
                *shares,
            )
        )
    return _table(head, body)


def _verdict(verdict: Verdict, metric: str) -> str:
    figure = metric if verdict.figure == "fd" else "KID"
    reached = "at most half" if verdict.at_most_half else "more than half"
    overlap = "overlap" if verdict.ranges_overlap else "do not overlap"
    return (
        f"{figure} {_range(verdict.generated)}: {_number(verdict.share_of_untrained)} of the untrained model's, "
        f"{_number(verdict.share_of_noise)} of noise's ({reached}); matched real ones have {_range(verdict.floor)}. "
        f"The ranges over the seeds {overlap}."
    )


def _autoencoder(rows: Sequence[Fidelity]) -> list[str]:
    body = []
    for each in rows:
        beside = (
            ("the same, through the autoencoder", each),
            ("a matched real training picture", each.neighbour),
            ("the same, through an untrained autoencoder", each.untrained),
        )
        body += [
            (each.stratum, what, str(each.n), *map(_estimate, (found.ssim, found.psnr_db, found.ms_ssim)))
            for what, found in beside
            if found
        ]
    head = ("pictures", "compared with", "n", "SSIM", "PSNR in dB", "MS-SSIM")
    return ["## Autoencoder, held-out pictures", "", *_table(head, body)]


def _probe(probe: Probe) -> list[str]:
    head = (f"{probe.attribute} asked for", *(f"named {name}" for name in probe.classes))
    body = [(asked, *(str(counts[name]) for name in probe.classes)) for asked, counts in probe.confusion.items()]
    return [
        f"## Probe: {probe.attribute}",
        "",
        f"A small classifier trained on {probe.train_n} real pictures names the {probe.attribute} of "
        f"{_percent(probe.real)} of {probe.real.n} held-out real pictures and of {_percent(probe.generated)} of "
        f"{probe.generated.n} generated ones; the most frequent answer alone would have {100 * probe.chance:.0f} %.",
        "",
        *_table(head, body),
    ]


def _copying(rows: Sequence[Copying]) -> list[str]:
    if not rows:
        return []
    kinds = list(rows[0].planted_recall)
    head = ("space", "median distance", "of unseen real", "ratio", "authentic", "flagged", "false alarms", *kinds)
    body = [
        (
            each.space,
            _number(each.generated_median),
            _number(each.held_out_median),
            _number(each.ratio),
            f"{100 * each.authentic_share:.0f} %",
            _percent(each.flagged_share),
            _percent(each.false_positive_rate),
            *(_percent(each.planted_recall[kind]) for kind in kinds),
        )
        for each in rows
    ]
    return [
        "## Nearest training pictures",
        "",
        f"Searched among {rows[0].train_n}. The last {len(kinds)} columns are the shares of planted copies that "
        "the same threshold finds; exact ones are found by construction, reconstructed ones went through the "
        "autoencoder.",
        "",
        *_table(head, body),
    ]


def _strata(rows: Sequence[Stratum], summaries: Sequence[Summary]) -> list[str]:
    if not rows:
        return []
    body = [
        (
            each.space,
            each.column,
            each.value or NONE,
            str(each.n),
            *map(_range, (each.fd, each.kid, each.floor_kid, each.untrained_kid)),
            _number(each.share_of_untrained),
        )
        for each in rows
    ]
    said = [
        f"- {each.space}, {each.cells} values of {each.column}: mean KID {_number(each.macro_kid)}; worst "
        f"{each.worst or NONE}, {_number(each.worst_kid)}, {_number(each.worst_share)} of the untrained model's"
        for each in summaries
    ]
    head = ("space", "by", "value", "n", "FD", "KID", "KID of matched real", "KID of untrained", "share of untrained")
    return ["## By class", "", *_table(head, body), *said, ""]


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    rows = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in (head, *body)]
    return [rows[0], "|" + " --- |" * len(head), *rows[1:], ""]


def _number(value: float | None) -> str:
    return NONE if value is None or not math.isfinite(value) else f"{value:.4g}"


def _range(value: Range | None) -> str:
    if value is None:
        return NONE
    if value.low == value.high:
        return _number(value.mean)
    return f"{_number(value.mean)} ({_number(value.low)} to {_number(value.high)})"


def _estimate(value: Estimate | None) -> str:
    if value is None:
        return NONE
    limits = f" ({_number(value.low)} to {_number(value.high)})" if value.low is not None else ""
    return f"{_number(value.value)}{limits}"


def _percent(value: Estimate) -> str:
    whole = f"{100 * value.value:.0f} %"
    if value.low is None or value.high is None:
        return whole
    return f"{whole} ({100 * value.low:.0f} to {100 * value.high:.0f})"


def _mean(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return _number(sum(known) / len(known)) if known else NONE


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
