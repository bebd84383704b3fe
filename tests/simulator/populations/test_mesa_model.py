"""PopulationModel: a rollout to the bit, people that Mesa can work with, sweeps, and a page that answers."""

import functools
import gc
import importlib.util
import inspect
import re
import socket
import subprocess
import sys
import time
import urllib.request
import weakref
from pathlib import Path

import mesa
import networkx as nx
import numpy as np
import pytest
import torch
from gymnasium import spaces
from mesa.space import NetworkGrid

from ethogram.agents.simple import Fixed
from ethogram.envs.adoption import Adoption
from ethogram.envs.epidemics import SEIR, Epidemic
from ethogram.simulator import Do, Record, Transition, rollout
from ethogram.simulator.networks import Contacts
from ethogram.simulator.populations import mesa_model
from ethogram.simulator.populations.mesa_model import Person, PopulationModel

N = 60
CONTACTS = Contacts.from_networkx(nx.watts_strogatz_graph(N, 6, 0.1, seed=1))
WORLD = Adoption(CONTACTS, initial=0.1)
AGE, AREA = torch.arange(N) % 90, torch.arange(N) // 20
DASHBOARD = Path(__file__).parents[3] / "examples" / "mesa_dashboard.py"


def stepped(model, steps):
    for _ in range(steps):
        model.step()
    return model


class Imitates:
    """Nudges oneself by what one has done and got so far, so that a wrong history would change everything."""

    def act(self, observation, history, draws):
        if history.num_steps == 0:
            return draws.uniform("mood")
        return 0.1 * history.action[:, -1] + history.reward.mean(1) - history.observation[:, :, 1].mean(1)


class Wavers:
    """Isolates and works at random, more so when ill."""

    def act(self, observation, history, draws):
        isolate = draws.uniform("isolate") < 0.1 + 0.5 * observation["ill"]
        return torch.stack([isolate, draws.uniform("work") < 0.9], 1).to(torch.int8)


class Leaves:
    """A world whose people leave, each at a day of their own, and are paid for every day."""

    observation_space, action_space = spaces.Discrete(9), spaces.Discrete(2)

    def reset(self, draws, site):
        stays = site("stays", (draws.uniform("stays") * 8).long())
        return stays, stays

    def step(self, state, action, draws, site):
        return Transition(state - 1, state - 1, torch.ones(len(state)), state <= 0)


CASES = {
    "adoption": (WORLD, Imitates(), [Do("adopts", True, start=3, stop=5, who=torch.arange(N) < 9)]),
    "seir": (SEIR(CONTACTS, transmission=0.1, initial=0.1), Fixed(0), [Do("action", 1, start=4)]),
    "epidemic": (Epidemic({"community": CONTACTS}, AGE, AREA, initial=0.1), Wavers(), []),
    "people who leave": (Leaves(), Fixed(0), []),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("rows", [N, torch.arange(N) + 1000])
def test_stepping_is_a_rollout_to_the_bit(name, rows):
    world, policy, interventions = CASES[name]
    run = {"rows": rows, "seed": 7, "interventions": interventions, "record": "all"}
    model = PopulationModel(world, policy, **run)
    for steps in (6, 15, 16, 17, 40):  # the record's room doubles at 16 and 32
        while model.running and model.steps < steps:
            model.step()
        assert model.history.equals(rollout(world, policy, horizon=steps, **run))


def test_records_thin_the_history_as_in_a_rollout():
    record = ["exposure", Record("observation", every=3), Record("adopted", every=2, reduce="mean")]
    run = {"rows": N, "seed": 1, "record": record}
    model = stepped(PopulationModel(WORLD, Fixed(0.0), **run), 11)
    early = model.history
    stepped(model, 26)
    assert early.equals(rollout(WORLD, Fixed(0.0), horizon=11, **run)), "later steps changed an earlier history"
    assert model.history.equals(rollout(WORLD, Fixed(0.0), horizon=37, **run))


def test_a_model_runs_until_everybody_has_left():
    model = PopulationModel(Leaves(), Fixed(0), rows=N)
    model.run_model()
    assert model.steps == int(model.history.length.max()) == 8
    with pytest.raises(RuntimeError, match="make a new model"):
        model.step()


def test_mesa_works_with_the_people():
    model = stepped(PopulationModel(WORLD, Fixed(0.0), rows=N), 20)
    adopted, exposure = model.column("adopted").tolist(), model.column("exposure")
    people = model.agents
    assert type(people) is type(mesa.Model().agents)
    assert (len(people), model.agent_types, list(model.agents_by_type)) == (N, [Person], [Person])
    assert people.get("unique_id") == list(range(1, N + 1))
    assert people.get(["adopted", "row"]) == [[a, i] for i, a in enumerate(adopted)]
    assert people.agg("exposure", max) == exposure.max()
    yes = people.select(lambda person: person.adopted)
    assert sorted(yes.get("row")) == [i for i, a in enumerate(adopted) if a]
    assert people.groupby("adopted").count() == {True: len(yes), False: N - len(yes)}
    assert people.groupby("adopted").agg("reward", np.mean) == {True: 1, False: 0}
    assert people.sort("exposure", ascending=True).get("exposure") == sorted(exposure.tolist())
    assert set(people.shuffle()) == set(people)
    assert people.shuffle().get("row") != people.get("row")
    seen = []
    people.do(lambda person: seen.append(person.row)).shuffle_do(lambda person: seen.append(person.row))
    assert sorted(seen) == sorted([*range(N)] * 2)
    assert people.map(lambda person: person.observation[0]) == [float(a) for a in adopted]
    assert people.select(at_most=0.5).count(people[0]) == 1
    assert people.get("no_such", handle_missing="default", default_value=3) == [3] * N


def test_people_read_what_holds_now():
    model = PopulationModel(WORLD, Fixed(0.5), rows=N)
    person = model.agents[4]
    for _ in range(30):
        model.step()
        assert person.adopted is bool(model.column("adopted")[4])
        assert person.observation == model.column("observation")[4].tolist()
    assert (person.action, person.row, person.unique_id) == (0.5, 4, 5)


def test_entries_of_dict_observations_are_columns():
    world, policy, _ = CASES["epidemic"]
    model = PopulationModel(world, policy, rows=N)
    assert model.agents.get("age") == AGE.tolist()
    model.step()
    assert model.agents[7].observation.keys() == world.observation_space.keys()
    assert model.agents[7].observation["area"] == model.agents[7].area == 0
    assert model.column("employed").dtype == torch.int8, "expected the observation's, not the site's"
    assert model.column("demand").shape == (1,)
    with pytest.raises(AttributeError, match="'demand' has 1 values for 60 people"):
        _ = model.agents[0].demand


def test_the_people_stand_in_mesas_spaces():
    model = PopulationModel(WORLD, Fixed(0.0), rows=N)
    model.grid = NetworkGrid(CONTACTS.to_networkx())
    for person in model.agents:
        model.grid.place_agent(person, person.row)
    near = model.grid.get_neighbors(3, include_center=False)
    assert sorted(p.row for p in near) == CONTACTS.target[CONTACTS.start[3] : CONTACTS.start[4]].tolist()


def test_people_cannot_be_changed_behind_the_worlds_back():
    model = stepped(PopulationModel(WORLD, Fixed(0.0), rows=N), 1)
    with pytest.raises(AttributeError, match=r"expected interventions.*Do\('adopted'"):
        model.agents.set("adopted", True)
    with pytest.raises(TypeError, match=r"model.step\(\) steps everybody"):
        model.agents.shuffle_do("step")
    for removed in (model.remove_all_agents, model.agents[0].remove, lambda: model.deregister_agent(model.agents[0])):
        with pytest.raises(TypeError, match="people are the rows of the world"):
            removed()
    with pytest.raises(TypeError, match="a Agent cannot join, the agents are the rows of the world"):
        mesa.Agent(model)
    with pytest.raises(AttributeError, match="unique_id of person 1 cannot be set"):
        model.agents[0].unique_id = 7
    assert model.agents.get("unique_id") == list(range(1, N + 1))


def test_the_data_collector_finds_means_sums_and_people():
    model = PopulationModel(
        WORLD,
        Fixed(0.0),
        rows=N,
        seed=3,
        model_reporters={
            "share": lambda m: m.mean("adopted"),
            "count": functools.partial(PopulationModel.sum, name="adopted"),
            "seen": lambda m: m.mean("observation")[0],
            "steps": "steps",
        },
        agent_reporters={"adopted": "adopted", "exposure": lambda person: person.observation[1]},
        agenttype_reporters={Person: {"paid": "reward", "where": lambda person: person.row}},
    )
    stepped(model, 6)
    found, history = (
        model.datacollector.get_model_vars_dataframe(),
        rollout(WORLD, Fixed(0.0), rows=N, horizon=6, seed=3),
    )
    expected = history.observation[:, :, 0].double().mean(0)
    assert found["seen"].tolist() == expected.tolist()
    assert np.isnan(found["share"][0])
    assert found["share"][1:].tolist() == expected[1:].tolist()
    assert found["count"][1:].tolist() == (history.reward.sum(0)).tolist()
    assert found["steps"].tolist() == list(range(7))
    people = model.datacollector.get_agent_vars_dataframe()
    assert people.loc[0, "adopted"].isna().all()
    for t in range(1, 7):
        assert people.loc[t, "adopted"].tolist() == (history.observation[:, t, 0] > 0).tolist()
        assert people.loc[t, "exposure"].tolist() == history.observation[:, t, 1].tolist()
    of_type = model.datacollector.get_agenttype_vars_dataframe(Person)
    assert of_type.loc[6, "paid"].tolist() == history.reward[:, 5].tolist()
    assert of_type.loc[6, "where"].tolist() == list(range(N))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"model_reporters": {"x": lambda m: m.mean("adoptd")}},
            LookupError,
            "no column named 'adoptd'; this",
        ),
        ({"agent_reporters": {"x": "adoptd"}}, AttributeError, "no column named 'adoptd'"),
        ({"agenttype_reporters": {Person: {"x": "adoptd"}}}, AttributeError, "no column named 'adoptd'"),
        ({"rng": 1, "seed": 2}, ValueError, "rng=1 and seed=2: expected one or the other"),
        ({"rng": np.random.default_rng(1)}, TypeError, r"seed is Generator\(PCG64\).*: expected an int"),
        ({"interventions": [Do("adoptd", True)]}, LookupError, "no site named"),
        ({"record": ["adoptd"]}, LookupError, "no site named"),
        ({"peer_efect": 2.0}, TypeError, r"no field named \['peer_efect'\]: expected some of \['contacts'"),
        ({"rows": N + 1}, ValueError, "61 rows for the contacts of 60 people"),
        ({"interventions": Do("adopted", True)}, TypeError, "expected a list of Do"),
    ],
)
def test_a_wrong_name_fails_in_the_first_step_at_the_latest(arguments, error, message):
    with pytest.raises(error, match=message):
        PopulationModel(WORLD, Fixed(0.0), **{"rows": N, **arguments}).step()


def test_what_comes_after_the_start_is_not_there_before():
    model = PopulationModel(WORLD, Fixed(0.0), rows=N)
    with pytest.raises(ValueError, match="nothing has happened yet"):
        _ = model.history
    with pytest.raises(LookupError, match="sites of a step have values after the first"):
        model.column("adopted")
    assert model.agents.get("initial") == (model.column("observation")[:, 0] > 0).tolist()


class Swept(PopulationModel):
    """A model that batch_run can make in another process."""

    def __init__(self, peer_effect=4.0, nudge=0.0, **kwargs):
        super().__init__(
            Adoption(CONTACTS, initial=0.1, peer_effect=peer_effect),
            Fixed(nudge),
            rows=N,
            model_reporters={"adopters": lambda model: model.mean("observation")[0], "drawn": "seed"},
            **kwargs,
        )


def assert_runs_of(world_of, runs, steps):
    for run in runs:
        history = rollout(world_of(run), Fixed(0.5), rows=N, horizon=steps, seed=run["drawn"])
        assert (run["Step"], run["adopters"]) == (steps, history.observation[:, -1, 0].double().mean().item())


def test_batch_run_sweeps_what_a_rollout_gives():
    settings = {"peer_effect": [0.0, 4.0], "seed": [0, 1], "nudge": 0.5}
    runs = mesa.batch_run(Swept, settings, max_steps=12, display_progress=False)
    parallel = mesa.batch_run(Swept, settings, number_processes=2, max_steps=12, display_progress=False)
    assert runs == sorted(parallel, key=lambda run: run["RunId"])
    assert [run["drawn"] for run in runs] == [0, 1, 0, 1]
    assert_runs_of(lambda run: Adoption(CONTACTS, initial=0.1, peer_effect=run["peer_effect"]), runs, 12)


def test_batch_run_gives_people_without_reporters_of_the_model():
    settings = {"world": WORLD, "policy": Fixed(0.0), "rows": N, "seed": [3, 4]}
    settings["agent_reporters"] = [{"reward": "reward"}]
    runs = mesa.batch_run(PopulationModel, settings, max_steps=2, display_progress=False)
    assert [run["seed"] for run in runs] == [3] * N + [4] * N
    assert {run["AgentID"] for run in runs} == set(range(1, N + 1))


def test_batch_run_without_a_seed_draws_one_for_each_run():
    how = {"max_steps": 3, "display_progress": False}
    how |= {"rng": [None] * 4} if "rng" in inspect.signature(mesa.batch_run).parameters else {"iterations": 4}
    runs = mesa.batch_run(Swept, {"nudge": 0.5}, **how)
    assert len({run["drawn"] for run in runs}) == 4
    assert_runs_of(lambda run: Adoption(CONTACTS, initial=0.1), runs, 3)


@pytest.mark.parametrize("spelt", ["seed", "rng"])
def test_a_seed_may_be_spelt_as_either_of_mesas(spelt):
    model = stepped(PopulationModel(WORLD, Fixed(0.0), rows=N, **{spelt: np.int64(5)}), 4)
    assert model.seed == 5
    assert model.history.equals(rollout(WORLD, Fixed(0.0), rows=N, horizon=4, seed=5))
    twin = PopulationModel(WORLD, Fixed(0.0), rows=N, seed=5)
    assert (model.random.random(), model.rng.random()) == (twin.random.random(), twin.rng.random())


def test_the_room_speaks_to_mesa_by_public_names():
    private = {name for name in [*vars(mesa.Model()), *dir(mesa.Model)] if re.match("_[a-z]", name)}
    assert private
    assert not private & set(re.findall(r"\b_\w+", inspect.getsource(mesa_model)))


def test_batch_run_sweeps_the_fields_of_a_world():
    adopters = functools.partial(PopulationModel.mean, name="reward")
    settings = {
        "world": WORLD,
        "policy": Fixed(0.0),
        "rows": N,
        "peer_effect": [0.0, 8.0],
        "interventions": [[], [Do("action", 3.0)]],  # each list is one scenario
        "model_reporters": [{"adopters": adopters}],
    }
    runs = mesa.batch_run(PopulationModel, settings, max_steps=4, display_progress=False)
    found = {(run["peer_effect"], len(run["interventions"])): run["adopters"] for run in runs}
    assert found[0.0, 0] < found[8.0, 0] < found[8.0, 1]


def test_a_model_is_freed_when_nobody_holds_it():
    """Mesa's own agents keep theirs alive: a sweep over large populations would fill the memory."""
    model = stepped(PopulationModel(WORLD, Fixed(0.0), rows=N), 2)
    assert len(model.agents) == N
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def dashboard():
    spec = importlib.util.spec_from_file_location("mesa_dashboard", DASHBOARD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def needs_solara():
    solara = pytest.importorskip("solara", reason='the page needs pip install "ethogram[viz]"')
    pytest.importorskip("altair", reason='the page needs pip install "ethogram[viz]"')
    if not hasattr(solara.v, "TabsItems"):
        pytest.skip('Mesa\'s page needs ipyvuetify below 2: pip install "ethogram[viz]"')
    return solara


def test_the_dashboard_runs_as_a_script(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mesa_dashboard.py", "--quick", "--out", str(tmp_path)])
    dashboard().main()
    assert "with 20 % of people nudged +" in capsys.readouterr().out
    assert (tmp_path / "mesa_dashboard.png").stat().st_size > 10_000


def test_without_solara_the_page_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "solara", None)
    with pytest.raises(ImportError, match=r"pip install 'ethogram\[viz\]'"):
        dashboard().page()


@pytest.mark.filterwarnings("ignore")  # Solara's, about Mesa's use of hooks
def test_the_page_steps_and_resets(monkeypatch):
    solara = needs_solara()
    import ipyvuetify
    import ipywidgets

    module, drawn = dashboard(), []
    draw_map = module.draw_map
    monkeypatch.setattr(module, "draw_map", lambda town, ax: (drawn.append(town), draw_map(town, ax))[1])
    _, context = solara.render(solara.AppLayout(children=[module.page()()]), handle_error=False)

    def press(label):
        context.find(ipyvuetify.Btn, children=[label]).widget.click()

    def shows(step):
        context.find(ipyvuetify.Html, children=[f"Step: {step}"]).assert_single()
        return drawn[-1].steps == step and len(context.find(ipywidgets.Image).widgets) == 2

    assert shows(0)
    assert drawn[-1].nudged.any()
    press("Step")
    press("Step")
    assert shows(2)
    context.find(ipyvuetify.Slider, label="Share nudged").widget.v_model = 0.0
    press("Reset")
    assert shows(0)
    assert not drawn[-1].nudged.any()
    context.close()


def test_the_page_is_served():
    needs_solara()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "solara", "run", str(DASHBOARD), "--production", "--no-open"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for _ in range(120):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                    page = answer.read().decode()
                break
            except OSError:
                assert server.poll() is None, server.stdout.read()
                time.sleep(0.5)
        assert answer.status == 200
        assert "solara-main" in page
    finally:
        server.terminate()
        said = server.communicate(timeout=30)[0]
    assert "Traceback" not in said, said
