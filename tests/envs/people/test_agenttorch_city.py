"""An AgentTorch folder becomes a city whose ages, contacts and genders are those that its names say."""

import json

import pandas as pd
import pytest
import torch

from ethogram.agents import Heuristic
from ethogram.envs.epidemics import Epidemic
from ethogram.envs.people import agenttorch_city
from ethogram.simulator import rollout

BANDS = ["20t29", "30t39", "65A", "U19"]


def written(folder, bands, age, *, genders=("male", "female"), edges="0,1\n2,2\n3,2\n2,3\n"):
    """A folder of people of these bands, given by name."""
    (folder / "mobility_networks").mkdir(parents=True)
    for name, values in {
        "age": [bands.index(band) for band in age],
        "gender": [genders.index("female")] * len(age),
        "area": [0] * len(age),
    }.items():
        pd.Series(values).to_pickle(folder / f"{name}.pickle")
    (folder / "mapping.json").write_text(json.dumps({"age": bands, "gender": genders, "area": ["BK"]}))
    (folder / "mobility_networks" / "0.csv").write_text(edges)
    return folder


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 0, 1, 2], [2, 3, 1, 0]])
def test_ages_go_by_the_names_of_bands_in_any_order_of_codes(order, tmp_path):
    folder = written(tmp_path / "town", [BANDS[k] for k in order], BANDS * 500)
    people = agenttorch_city(folder, seed=1).people
    for k, (low, high) in enumerate([(20, 29), (30, 39), (65, 89), (0, 19)]):  # U19 reaches up to the next
        ages = people["age"][k::4]
        assert (ages.min(), ages.max()) == (low, high)
        assert torch.equal(people.mask(**{"age band": BANDS[k]}), torch.arange(2000) % 4 == k)
    again = agenttorch_city(folder, seed=1).people
    assert torch.equal(again["age"], people["age"])


@pytest.mark.parametrize(
    ("bands", "highest"),
    [(["U19", "65A"], 18), (["0t17", "19t25"], 17), (["U20", "20t29"], 19), (["U19", "20t29"], 19), (["U19"], 18)],
)
def test_the_youngest_are_no_older_than_their_band_says(bands, highest, tmp_path):
    people = agenttorch_city(written(tmp_path / "town", bands, bands * 500)).people
    youngest = people["age"][people.mask(**{"age band": bands[0]})]
    assert (int(youngest.min()), int(youngest.max())) == (0, highest)


@pytest.mark.parametrize("genders", [("male", "female"), ("female", "male")])
def test_genders_go_by_name(genders, tmp_path):
    people = agenttorch_city(written(tmp_path / "town", BANDS, BANDS, genders=genders)).people
    assert people.mask(gender="female").all()


def test_contacts_run_both_ways_and_what_is_left_out_is_said(tmp_path):
    city = agenttorch_city(written(tmp_path / "town", BANDS, BANDS + ["65A"]))
    community = city.layers["community"]
    ends = set(zip(community.source.tolist(), community.target.tolist(), strict=True))
    assert ends == {(0, 1), (1, 0), (2, 3), (3, 2)}
    assert city.notes == (
        "5 people with age, area, gender",
        "ages in years drawn evenly within the bands: 20t29 as 20 to 29, 30t39 as 30 to 39, 65A as 65 to 89, "
        "U19 as 0 to 19",
        "4 contacts in 0.csv, mirrored, without 1 self-loops and 1 repeats; 1 people (20.0 %) have none",
    )


def test_a_folder_runs_as_an_epidemic(tmp_path):
    folder = written(tmp_path / "town", BANDS, BANDS * 50, edges="".join(f"{i},{i + 1}\n" for i in range(199)))
    pd.Series([i // 4 for i in range(200)]).to_pickle(folder / "household.pickle")
    city = agenttorch_city(folder)
    assert city.layers["household"].num_contacts == 50 * 12
    world = Epidemic(city.layers, city.people["age"], city.people["area"], initial=0.1)
    assert rollout(world, Heuristic(), rows=200, horizon=5).reward.shape == (200, 5)


def test_what_cannot_be_read_right_is_refused(tmp_path):
    folder = written(tmp_path / "town", [*BANDS, "young"], BANDS)
    with pytest.raises(ValueError, match="'young' is no band of ages"):
        agenttorch_city(folder)
    with pytest.raises(ValueError, match="ages are codes without names"):
        agenttorch_city(folder, labels={})
    assert agenttorch_city(folder, labels={"age": ["18-64", "65+", "under 18", "90 and over"]}).people["age"][0] >= 18
    (folder / "mobility_networks" / "0.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither mobility_networks/0.csv nor households"):
        agenttorch_city(folder, labels={"age": BANDS})
