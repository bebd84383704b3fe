"""Every release's form reads alike; counts match the published ones; the worlds are counted as their docstrings say."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ethogram.agents.cascading import myopic_policy, optimal_values, policy_value
from ethogram.envs.datasets import WHEEL, MovieLens, load_movielens, movielens_world, paper_mdp, session_mdp
from ethogram.envs.datasets.tastes import profiles
from ethogram.simulator.formats import Interactions, load_interactions

ROOT = Path(__file__).parents[3]
ROWS = [
    (2, 20, 4, 100),
    (1, 10, 5, 9),
    (1, 30, 2, 7),
    (2, 10, 3, 90),
    (3, 30, 1, 5),
    (1, 20, 4, 7),
    (2, 30, 1, 110),
]  # made up
MOVIES = [(10, "Ten: a film (1990)", ["Drama", "War"]), (20, "Été (1991)", ["Comedy"]), (30, "Thirty (1992)", ["War"])]


@pytest.fixture(scope="module")
def movielens_100k():
    return load_movielens(real_data())


def release(form, folder):
    """The made-up ratings as a release in one of the forms; returns the path of the ratings file."""
    rows = {sep: "".join(sep.join(map(str, row)) + "\n" for row in ROWS) for sep in ("\t", "::", ",")}
    folder.mkdir(parents=True, exist_ok=True)
    if form == "u.data":
        order = ["Comedy", "Drama", "War"]
        flags = {"Comedy": 5, "Drama": 8, "War": 17}  # places in u.item's list of 19
        lines = []
        for movie, title, kinds in MOVIES:
            marks = ["0"] * 19
            for kind in order:
                marks[flags[kind]] = str(int(kind in kinds))
            lines.append(f"{movie}|{title}|01-Jan-1990||url|{'|'.join(marks)}")
        (folder / "u.item").write_bytes("\n".join(lines).encode("latin-1"))
        text = rows["\t"]
    elif form == "ratings.dat":
        lines = [f"{movie}::{title}::{'|'.join(kinds)}" for movie, title, kinds in MOVIES]
        (folder / "movies.dat").write_bytes("\n".join(lines).encode("latin-1"))
        text = rows["::"]
    elif form == "ratings.csv":
        lines = [f'{movie},"{title}",{"|".join(kinds)}' for movie, title, kinds in MOVIES]
        (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *lines]), encoding="utf-8")
        text = "userId,movieId,rating,timestamp\n" + rows[","]
    else:
        lines = [f"{m}\t{t[:-7]}\t{t[-5:-1]}\t{' '.join(kinds)}" for m, t, kinds in MOVIES]
        header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"
        (folder / "ml-100k.item").write_text("\n".join([header, *lines]), encoding="utf-8")
        text = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + rows["\t"]
    (folder / form).write_text(text)
    return folder / form


def zipped(folder, archive):
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.iterdir():
            file.write(path, f"{folder.name}/{path.name}")
    return archive


FORMS = pytest.mark.parametrize("form", ["u.data", "ratings.dat", "ratings.csv", "ml-100k.inter"])


@FORMS
@pytest.mark.parametrize("packing", ["file", "folder", "parent", "zip"])
def test_every_form_and_packing_reads_alike(form, packing, tmp_path):
    file = release(form, tmp_path / "box" / "ml-x")
    path = {
        "file": lambda: file,
        "folder": lambda: file.parent,
        "parent": lambda: file.parent.parent,
        "zip": lambda: zipped(file.parent, tmp_path / "ml-x.zip"),
    }[packing]()
    data = load_movielens(path)
    assert data.ratings.user_ids.tolist() == [1, 2, 3]
    assert data.ratings.item_ids.tolist() == [10, 20, 30]
    assert data.ratings.user.tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert data.ratings.item.tolist() == [1, 2, 0, 0, 1, 2, 2]  # user 1's tie at second 7: the smaller movie id first
    assert data.ratings.reward.tolist() == [4, 2, 5, 3, 4, 1, 1]
    assert data.ratings.tie_share == 1 / 4
    assert data.titles == tuple(title for _, title, _ in MOVIES)
    assert data.genre_names == ("Comedy", "Drama", "War")
    assert data.genres.int().tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 1]]


@FORMS
def test_what_a_release_writes_for_no_genre_is_no_genre(form, tmp_path, monkeypatch):
    nothing = "unknown" if form in ("u.data", "ml-100k.inter") else "(no genres listed)"
    file = release(form, tmp_path)
    movies = {"u.data": "u.item", "ratings.dat": "movies.dat", "ratings.csv": "movies.csv"}.get(form, "ml-100k.item")
    text = (tmp_path / movies).read_bytes().decode("latin-1").splitlines()
    text = [line.replace("Comedy", nothing) for line in text]
    if form == "u.data":
        text = [f"{line[:-37]}{'1|' if line.startswith('20|') else '0|'}{'0|' * 17}0" for line in text[:2]] + text[2:]
    (tmp_path / movies).write_bytes("\n".join(text).encode("latin-1"))
    data = load_movielens(file)
    assert nothing not in data.genre_names
    assert data.genres.any(1).tolist() == [form != "u.data", False, True]


def test_a_movie_of_no_known_genre_leaves_taste_as_it_was():
    data = made_up()
    unknown = data.genres.clone()
    unknown[3] = False
    data = MovieLens(data.ratings, data.titles, data.genre_names, unknown)
    before, after, _ = profiles(data.ratings.starts, unknown.double()[data.ratings.item], memory=0.7)
    there = data.ratings.item == 3
    assert there.any()
    assert torch.equal(before[there], after[there])
    assert not torch.isclose(before[~there], after[~there]).all()


def test_ratings_alone_have_no_genres_and_make_no_sessions(tmp_path):
    file = release("u.data", tmp_path)
    (tmp_path / "u.item").unlink()
    data = load_movielens(file)
    assert (data.titles, data.genre_names, data.genres.shape) == ((), (), (3, 0))
    with pytest.raises(ValueError, match=r"no genres: expected u\.item"):
        session_mdp(data)


def test_missing_data_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETHOGRAM_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match=r"(?s)elsewhere or data: run `make data`.*recbole==1\.2\.1"):
        load_movielens()
    with pytest.raises(FileNotFoundError, match="no MovieLens release at"):
        load_movielens(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no ratings in .*expected a file named one of"):
        load_movielens(tmp_path)


def test_the_folder_that_the_environment_names_is_looked_in_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    release("u.data", tmp_path / "elsewhere" / "ml-100k")
    monkeypatch.setenv("ETHOGRAM_DATA", str(tmp_path / "elsewhere"))
    assert len(load_movielens().ratings) == 7
    monkeypatch.delenv("ETHOGRAM_DATA")
    (tmp_path / "elsewhere").rename(tmp_path / "data")
    assert len(load_movielens().ratings) == 7


def test_faulty_files_say_what_is_wrong(tmp_path):
    file = release("ratings.csv", tmp_path / "a")
    good = file.read_text()
    file.write_text(good.replace("userId", "user"))
    with pytest.raises(ValueError, match=r"ratings.csv in .* cannot be read .*expected 'userId,movieId"):
        load_movielens(file)
    file.write_text(good.replace("2,20,4,100", "2,20,4"))
    with pytest.raises(ValueError, match=r"ratings\.csv"):
        load_movielens(file)
    file.write_text(good.replace("2,20,4,100", "2,20,7,100"))
    with pytest.raises(ValueError, match=r"user 2 gives movie 20 7 stars in ratings\.csv: expected 0\.5 to 5"):
        load_movielens(file)
    file.write_text(good.replace("2,20,4,100", "2,20,,100"))
    with pytest.raises(ValueError, match="column 'rating' is nan in row 0"):
        load_movielens(file)
    file.write_text(good.replace("2,20,4,100", "2,99,4,100"))
    with pytest.raises(ValueError, match=r"movie 99 is rated but not in movies\.csv"):
        load_movielens(file)
    file.write_text("")
    with pytest.raises(ValueError, match=r"ratings.csv in .* cannot be read"):
        load_movielens(file)
    (tmp_path / "cut.zip").write_bytes(b"PK no more")
    with pytest.raises(ValueError, match="no whole zip"):
        load_movielens(tmp_path / "cut.zip")
    release("u.data", tmp_path / "b")
    with pytest.raises(ValueError, match="expected one release"):
        load_movielens(tmp_path)


# The paper's block


def test_the_block_holds_common_users_and_their_stars(tmp_path):
    data = load_movielens(release("u.data", tmp_path))
    mdp, users, items = paper_mdp(data.ratings, num_users=2, num_items=3)
    assert (users.tolist(), items.tolist()) == ([1, 2], [30, 10, 20])  # all three users rated 30
    stars = torch.tensor([[2.0, 5.0, 4.0], [1.0, 3.0, 4.0]], dtype=torch.float64)
    assert torch.allclose(mdp.attraction * 5, stars)
    assert mdp.transition[0, 1].tolist() == pytest.approx([0.9, 0.1])  # five stars: the user stays
    with pytest.raises(ValueError, match="2 users rated all of 3 movies: expected 3 users of 3"):
        paper_mdp(data.ratings, num_users=3, num_items=3)


# Sessions, against a count by hand


def made_up(num_users=30, num_items=12, seed=0):
    """Random ratings in time order, of movies of three genres."""
    chance = np.random.default_rng(seed)
    rows = []
    for user in range(num_users):
        seen = chance.permutation(num_items)[: chance.integers(1, num_items + 1)]
        rows += [(user, int(item), int(chance.integers(1, 6)), time) for time, item in enumerate(seen)]
    import pandas as pd

    log = load_interactions(pd.DataFrame(rows, columns=["u", "i", "r", "t"]), user="u", item="i", time="t", rating="r")
    genres = torch.from_numpy(chance.random((num_items, 3)) < 0.5)
    return MovieLens(log, tuple(f"Film {i}" for i in range(num_items)), ("A", "B", "C"), genres)


def counted_slowly(data, model, window, attraction_prior, transition_prior, memory):
    """Attraction and transitions of session_mdp, by plain loops over users and ratings."""
    log, items = data.ratings, model.item_ids.tolist()
    num_states, num_items = model.profiles.shape[0], len(items)
    all_genres = data.genres.double()[log.item]

    start = all_genres[all_genres.any(1)].mean(0)  # a movie of no known genre says nothing about taste

    def nearest(profile):
        return int(((model.profiles - profile) ** 2).sum(1).argmin())

    n, c = np.zeros((num_states, num_items)), np.zeros((num_states, num_items))
    click = np.zeros((num_states, num_items, num_states))
    liked_any, none = np.full((2, num_states, num_states), 1 / num_states)
    for user in range(log.num_users):
        mine = range(int(log.starts[user]), int(log.starts[user + 1]))
        films = [int(log.item_ids[log.item[e]]) for e in mine]
        liked = [bool(log.reward[e] >= 4) for e in mine]
        profile, states = start, []
        for e in mine:
            states.append(nearest(profile))
            if all_genres[e].any():
                profile = memory * profile + (1 - memory) * all_genres[e]
        states.append(nearest(profile))
        for t, (film, good) in enumerate(zip(films, liked, strict=True)):
            (liked_any if good else none)[states[t], states[t + 1]] += 1
            if good and film in items:
                click[states[t], items.index(film), states[t + 1]] += 1
            for a, item in enumerate(items):
                if item not in films[:t]:
                    n[states[t], a] += 1
                    ahead = [k for k in range(t, min(t + window, len(films))) if films[k] == item and liked[k]]
                    c[states[t], a] += bool(ahead)
    overall = c.sum(0) / n.sum(0)
    attraction = (c + attraction_prior * overall) / (n + attraction_prior)
    liked_any /= liked_any.sum(1, keepdims=True)
    none /= none.sum(1, keepdims=True)
    click += transition_prior * liked_any[:, None]
    click /= click.sum(2, keepdims=True)
    return attraction, np.concatenate([click, none[:, None]], axis=1)


@pytest.mark.parametrize("seed", [0, 1])
def test_session_numbers_equal_a_count_by_plain_loops(seed):
    data = made_up(seed=seed)
    settings = {"window": 3, "attraction_prior": 2.0, "transition_prior": 1.5, "memory": 0.6}
    model = session_mdp(data, num_states=4, num_items=7, horizon=5, **settings)
    attraction, transition = counted_slowly(data, model, **settings)
    assert np.allclose(model.mdp.attraction.numpy(), attraction)
    assert np.allclose(model.mdp.transition.numpy(), transition)
    assert model.frequency.sum() == pytest.approx(1)


def test_counting_some_users_is_counting_their_ratings_alone():
    data = made_up()
    some = torch.arange(data.ratings.num_users) < 20
    part = session_mdp(data, 4, 7, users=some)
    everyone = session_mdp(data, 4, 7)
    assert torch.equal(part.profiles, everyone.profiles)
    kept = some[data.ratings.user]
    log = data.ratings
    alone = Interactions(log.user[kept], log.item[kept], log.reward[kept], log.user_ids[:20], log.item_ids)
    whole = session_mdp(MovieLens(alone, data.titles, data.genre_names, data.genres), 4, 7)
    assert whole.mdp.attraction.shape == part.mdp.attraction.shape
    none = torch.zeros_like(some)
    assert torch.allclose(session_mdp(data, 4, 7, users=none).mdp.transition, torch.tensor(0.25).double())
    assert not torch.equal(part.mdp.attraction, everyone.mdp.attraction)


def test_sessions_repeat_and_refuse_what_cannot_be():
    data = made_up()
    assert torch.equal(session_mdp(data, 4, 7).mdp.transition, session_mdp(data, 4, 7).mdp.transition)
    for settings, message in [
        ({"num_states": 0}, "num_states is 0"),
        ({"num_states": 10_000}, "num_states is 10000: expected at most"),
        ({"num_items": 13}, "num_items is 13: expected an int from 1 to 12"),
        ({"memory": 1.0}, "memory 1.0.*expected memory between 0 and 1"),
        ({"window": 0}, "window is 0: expected an int, 1 or more"),
    ]:
        with pytest.raises(ValueError, match=message):
            session_mdp(data, **{"num_states": 4, "num_items": 7, **settings})


# The real ratings


def real_data():
    folder = Path(os.environ.get("ETHOGRAM_DATA", ROOT / "data"))
    for name in (WHEEL, "ml-100k.zip", "ml-100k"):
        if (folder / name).exists():
            return folder / name
    return None


needs_data = pytest.mark.skipif(
    real_data() is None, reason="MovieLens 100K is not here: run `make data`, or set ETHOGRAM_DATA to its folder"
)


@needs_data
def test_movielens_100k_has_the_published_counts(movielens_100k):
    ratings = movielens_100k.ratings
    assert (len(ratings), ratings.num_users, ratings.num_items) == (100_000, 943, 1682)
    assert ratings.reward.long().bincount().tolist() == [0, 6110, 11370, 27145, 34174, 21201]
    assert ratings.tie_share == pytest.approx(0.5104, abs=5e-5)


@needs_data
@pytest.mark.parametrize("num_items", [10, 15, 20, 25])
def test_the_papers_block_exists_in_movielens_100k_and_myopic_is_optimal_there(num_items, movielens_100k):
    mdp, users, items = paper_mdp(movielens_100k.ratings, 20, num_items)
    assert (len(set(users)), len(set(items))) == (20, num_items)
    assert items[:3].tolist() == [50, 181, 174]
    assert (mdp.attraction > 0).all()
    best, myopic = optimal_values(mdp)[0][0], policy_value(mdp, myopic_policy(mdp))[0]
    assert torch.allclose(best, myopic, rtol=2e-3)  # to within a fifth of a per cent


@needs_data
def test_planning_pays_in_movielens_sessions_on_other_users_too(movielens_100k):
    """By more than 0.5 % in the world itself, and by something in that of the users it was not planned for."""
    data = movielens_100k
    even = torch.arange(data.ratings.num_users) % 2 == 0
    model, (one, two) = session_mdp(data), (session_mdp(data, users=who).mdp for who in (even, ~even))

    def gain(planned_in, lived_in):
        plan = policy_value(lived_in, optimal_values(planned_in)[1])[0] @ model.frequency
        myopic = policy_value(lived_in, myopic_policy(planned_in))[0] @ model.frequency
        return float(plan / myopic - 1)

    assert 0.005 < gain(model.mdp, model.mdp) < 0.02
    assert (gain(one, two) + gain(two, one)) / 2 > 0


@needs_data
def test_the_session_world_is_the_session_mdp(movielens_100k):
    world = movielens_world(real_data(), num_items=20, num_states=5, length=2, horizon=7)
    assert (world.mdp.num_items, world.mdp.num_states, world.mdp.length, world.mdp.horizon) == (20, 5, 2, 7)
    expected = session_mdp(movielens_100k, 5, 20, 2, 7).mdp
    assert torch.equal(world.mdp.attraction, expected.attraction)
