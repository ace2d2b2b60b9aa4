"""The draw of new groups: which go to the held-out set, which to validation, which to training.

As MediSyn does, the held-out set is balanced by specialty: 125 images and 100 clips from each (arXiv 2405.09806, Data).
Whole groups move, in the order of HMAC(key, group), until the count is reached or a tenth of a specialty's groups;
so each group counts for a share of chance that nobody can steer. The evaluation set proper is then a fixed number of
samples of each specialty, since one group may bring hundreds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest.components import Labels
from ingest.quota import HeldOut
from ingest.splits import NO_SPLIT, TEST, TRAIN, VAL, Codes

FEWEST_GROUPS = 3  # with fewer, nothing can be held out and still be trained on


def train_only(pairs: pl.DataFrame, column: str) -> list[str]:
    """Values of `column` (modality or specialty) that come from too few groups to hold any out, sorted."""
    groups = pairs.group_by(column).agg(pl.col("component").n_unique().alias("groups"))
    return sorted(groups.filter(pl.col("groups") < FEWEST_GROUPS)[column].to_list())


def draw(pairs: pl.DataFrame, quota: HeldOut, val_share: float) -> Codes:
    """Split code [N] of each pair; those that have one keep it, and each component gets one.

    `pairs` has the columns component, order (the component's place in the draw), specialty, modality, clip, derived
    (a map computed from a scan, which fills no quota) and split (a code, NO_SPLIT for new groups).
    """
    component, place = _in_order(pairs)
    split = np.full(len(component), NO_SPLIT, dtype=np.int8)
    np.maximum.at(split, place, pairs["split"].to_numpy())
    few = np.zeros(pairs.height, dtype=np.bool_)
    for column in ("modality", "specialty"):
        few |= pairs[column].is_in(train_only(pairs, column)).to_numpy()
    stays = np.zeros(len(component), dtype=np.bool_)
    np.logical_or.at(stays, place, few)
    cells_of_all = pairs.select("specialty", "clip", "derived", pl.Series("place", place))
    counts = cells_of_all.group_by("place", "specialty", "clip").agg((~pl.col("derived")).sum().alias("pictures"))
    for specialty in sorted(pairs["specialty"].unique().to_list()):
        cells = counts.filter(pl.col("specialty") == specialty).sort("place", "clip")
        for clip, wanted in quota.by_kind():
            _hold_out(cells.filter(pl.col("clip") == clip), wanted, split, stays)
        if val_share:
            _validate(cells["place"].unique().sort().to_numpy(), val_share, split, stays)
    split[split == NO_SPLIT] = TRAIN
    return split[place]


def _in_order(pairs: pl.DataFrame) -> tuple[Labels, Labels]:
    """Components in the order of the draw [C], and for each pair the place of its component in it [N]."""
    order = pairs.group_by("component").agg(pl.col("order").min()).sort("order", "component")
    places = order.select("component").with_row_index("place")
    joined = pairs.select("component").join(places, on="component", how="left", maintain_order="left")
    return order["component"].to_numpy(), joined["place"].cast(pl.Int64).to_numpy()


def _hold_out(cells: pl.DataFrame, wanted: int, split: Codes, stays: npt.NDArray[np.bool_]) -> None:
    """Move the first new groups to test until `wanted` pictures or a tenth of the groups are there."""
    place, pictures = cells["place"].to_numpy(), cells["pictures"].to_numpy().astype(np.int64)
    if len(place) < FEWEST_GROUPS:
        return
    held = split[place] == TEST
    most = max(1, len(place) // 10) - int(held.sum())
    new = (split[place] == NO_SPLIT) & ~stays[place]
    place, pictures, have = place[new], pictures[new], int(pictures[held].sum())
    before = have + np.cumsum(pictures) - pictures
    split[place[(before < wanted) & (np.arange(len(place)) < most)]] = TEST


def _validate(place: Labels, share: float, split: Codes, stays: npt.NDArray[np.bool_]) -> None:
    """Move the next new groups to val until `share` of a specialty's groups are there; one is left to train on."""
    if len(place) < FEWEST_GROUPS:
        return
    have, held = (int((split[place] == code).sum()) for code in (VAL, TEST))
    wanted = min(max(1, round(share * len(place))), len(place) - held - 1) - have
    new = place[(split[place] == NO_SPLIT) & ~stays[place]]
    split[new[: max(0, wanted)]] = VAL


def members(test: pl.DataFrame, quota: HeldOut, known: pl.Series) -> pl.DataFrame:
    """The rows of `test` that make the balanced evaluation set: at most the quota of each specialty and kind.

    `test` has the columns number (keyed, of the sample's key), specialty and clip. Samples in `known` stay; the rest
    is filled in the order of the numbers.
    """
    ranked = test.with_columns(~pl.col("number").is_in(known.implode()).alias("new")).sort("new", "number")
    within = pl.int_range(pl.len()).over("specialty", "clip")
    limit = pl.when("clip").then(quota.clips).otherwise(quota.images)
    return ranked.filter(within < limit).drop("new")
