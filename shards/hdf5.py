"""Arrays in HDF5 files, of which nothing but the chosen rows is read, and never another file.

HDF5 has four ways to name other files: external links, links to such links, virtual data sets and external storage.
Every step of a path is therefore resolved here, link by link, and what does not lie in the file itself is refused. A
shape costs an HDF5 file nothing, so it is held against what is stored. Format: HDF5 File Format Specification 3.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from shards.arrays import Stored, Values
from shards.foreign import foreign
from shards.intake import Skip
from shards.kspace import Crop
from shards.limits import Limits
from shards.reasons import Reason

_MOST_NAMES, _MOST_DEPTH = 1_000_000, 16  # of data sets; of groups, and of links to links
_CACHE_BYTES = 128 << 20  # of chunks, so that one of many rows is inflated once
_MOST_RATIO = 2000  # of values to what is stored of them, above what gzip gives
_MOST_TEXT = 10_000  # characters of an attribute
_HEADER, _HEADER_CHARACTERS = "ismrmrd_header", 1 << 20
_REFERENCES = ("reconstruction_rss", "reconstruction_esc")  # fastMRI's own pictures of the k-space beside them
_SIZE = re.compile(
    r"<(?:\w+:)?reconSpace>.{0,500}?<(?:\w+:)?matrixSize>\s*<(?:\w+:)?x>(\d{1,5})<.{0,9}?x>\s*<(?:\w+:)?y>(\d{1,5})<",
    re.DOTALL,
)


class Hdf5File:
    """The numeric data sets of one file; a name is a path from its root."""

    size_bytes = _CACHE_BYTES

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        try:
            import h5py
        except ImportError as error:
            raise ImportError("HDF5 files need the package h5py: pip install 'medloom[data]'") from error
        with foreign():
            self._file = h5py.File(stream, "r", rdcc_nbytes=_CACHE_BYTES)
        self._limits = limits
        self._opened: dict[str, Any] = {}

    def names(self) -> list[str]:
        """The data sets of numbers, and links to other files, which are refused when they are read; raises Skip."""
        found: list[str] = []
        with foreign():
            for name in self._walk(self._file, "", 0):
                found.append(name)
                if len(found) > _MOST_NAMES:
                    raise Skip(Reason.TOO_LARGE, f"more than {_MOST_NAMES} data sets")
        return found

    def stored(self, name: str) -> Stored:
        """Shape and type of a data set, once its claims are held against what is stored."""
        dataset = self._dataset(name)
        return Stored(tuple(int(n) for n in dataset.shape), dataset.dtype)

    def rows(self, name: str, start: int, stop: int) -> Values:
        """Some rows along axis 0."""
        dataset = self._dataset(name)
        with foreign():
            values: Values = np.asarray(dataset[start:stop])
        return values

    def crop(self) -> Crop | None:
        """The size that the reconstruction has: of the reference in the file, or of its ISMRMRD header."""
        for name in _REFERENCES:
            if _link(self._file, name) is not None:
                shape = self.stored(name).shape
                if len(shape) == 3:
                    return Crop(shape[1], shape[2], f"the shape of {name}")
        if _link(self._file, _HEADER) is not None:
            with foreign():
                text = _text(self._hard(_HEADER)[()])[:_HEADER_CHARACTERS]
            if found := _SIZE.search(text):
                return Crop(int(found[1]), int(found[2]), "reconSpace of the ISMRMRD header")
        return None

    def attributes(self, names: Iterable[str]) -> Mapping[str, str]:
        """Those of the file's own attributes that are one text or number."""
        found: dict[str, str] = {}
        with foreign():
            for name in names:
                if name not in self._file.attrs:
                    continue
                one = self._file.attrs.get_id(name)
                if one.shape == () and one.dtype.kind in "biufSO" and one.get_storage_size() <= _MOST_TEXT:
                    found[name] = _text(self._file.attrs[name])[:_MOST_TEXT]
        return found

    def _dataset(self, name: str) -> Any:
        """A data set of numbers that lies in this file."""
        if name not in self._opened:
            with foreign():
                dataset = self._hard(name)
                self._check(dataset)
            self._opened[name] = dataset
        return self._opened[name]

    def _check(self, dataset: Any) -> None:
        import h5py

        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None or dataset.ndim == 0:
            raise Skip(Reason.NO_PIXELS, "the name stands for no array")
        if dataset.is_virtual or dataset.external:
            raise Skip(Reason.PATH_ESCAPES, "its values lie in other files")
        if dataset.dtype.hasobject:
            raise Skip(Reason.UNSUPPORTED_PIXELS, "values that are no numbers")
        if min(dataset.shape) < 1:
            raise Skip(Reason.CORRUPT, f"an array of shape {dataset.shape}")
        plan = dataset.id.get_create_plist()
        for i in range(plan.get_nfilters()):
            if not h5py.h5z.filter_avail(plan.get_filter(i)[0]):
                raise Skip(Reason.CODEC_MISSING, f"HDF5 filter {plan.get_filter(i)[0]}")
        stored_bytes = dataset.id.get_storage_size()
        claimed = Stored(dataset.shape, dataset.dtype)
        if claimed.size_bytes > stored_bytes * _MOST_RATIO:
            raise Skip(Reason.TRUNCATED, f"{stored_bytes} bytes are stored of the {claimed.size_bytes} that it claims")
        if dataset.chunks is not None:
            self._limits.check_total(Stored((1, *dataset.chunks), dataset.dtype).size_bytes)

    def _hard(self, path: str, depth: int = 0) -> Any:
        """The object at a path, through hard links and soft ones that stay in the file."""
        import h5py

        if depth > _MOST_DEPTH:
            raise Skip(Reason.CORRUPT, "links that lead to links")
        here, walked = self._file, ""
        for step in (step for step in path.split("/") if step not in ("", ".")):
            link = _link(here, step) if isinstance(here, h5py.Group) else None
            if link is None:
                raise Skip(Reason.NO_PIXELS, f"no data set {path!r} among {', '.join(self.names())[:200]}")
            if link == h5py.h5l.TYPE_HARD:
                here = here[step]
            elif link == h5py.h5l.TYPE_SOFT:
                target = here.id.links.get_val(step.encode()).decode("utf-8", "replace")
                here = self._hard(target if target.startswith("/") else f"{walked}/{target}", depth + 1)
            else:
                raise Skip(Reason.PATH_ESCAPES, "a link to another file")
            walked += f"/{step}"
        return here

    def _walk(self, group: Any, at: str, depth: int) -> Iterator[str]:
        import h5py

        for step in group:
            link = _link(group, step)
            if link == h5py.h5l.TYPE_EXTERNAL:
                yield f"{at}{step}"
            if link != h5py.h5l.TYPE_HARD:
                continue
            entry = group[step]
            if isinstance(entry, h5py.Group):
                if depth == _MOST_DEPTH:
                    raise Skip(Reason.CORRUPT, f"groups more than {_MOST_DEPTH} deep")
                yield from self._walk(entry, f"{at}{step}/", depth + 1)
            elif isinstance(entry, h5py.Dataset) and entry.shape and not entry.dtype.hasobject:
                yield f"{at}{step}"


def _link(group: Any, name: str) -> int | None:
    """The type of a link, which is not followed: `name in group` would open the file that it names."""
    links = group.id.links
    return int(links.get_info(name.encode()).type) if links.exists(name.encode()) else None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
