"""What do the users of your own click log do, and what would another ranking earn?

Run: python examples/your_own_log.py [clicks.csv]        (seconds; without a log it writes one and reads that)"""

import argparse
from pathlib import Path

import torch

from ethogram.agents.simple import PlackettLuce
from ethogram.envs.clicks import DBN, standard_errors
from ethogram.envs.datasets import SessionLog, fit_sessions
from ethogram.envs.sessions import CascadingSession, good_medium_bad
from ethogram.simulator import ope, rollout
from ethogram.simulator.report import plots

COLUMNS = ("session", "time", "position", "item", "click", "state", "propensity")
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("log", type=Path, nargs="?", help="with columns " + ", ".join(COLUMNS))
parser.add_argument("--quick", action="store_true", help="fewer sessions")
parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder of the picture (default outputs)")
options = parser.parse_args()
rows, path = 500 if options.quick else 5_000, options.log
if path is None:  # a shop that shows lists of 3 of 8 items at random, and writes down how likely each was
    shop = PlackettLuce(torch.zeros(8).double(), 3)
    shown = rollout(CascadingSession(good_medium_bad(8)), shop, rows=rows, horizon=4, record=["click"])
    chance = ope.prefix_propensity(shop.scores_in(shown.observation[:, :-1]), shown.action)
    options.out.mkdir(parents=True, exist_ok=True)
    SessionLog.of(ope.with_propensity(shown, chance)).to_pandas().to_csv(path := options.out / "your_own_log.csv")
log = SessionLog.from_frame(path, **{name: name for name in COLUMNS})
fit = fit_sessions(log, user=lambda lists: DBN.fit(lists, iterations=1_000))
new = PlackettLuce(3 * fit.user.attraction, log.lists.length)  # the better an item attracts, the higher
chance = ope.prefix_propensity(new.scores_in(log.lists.state), log.lists.slates)
value = ope.rips(log.lists.clicks, log.propensity, chance, self_normalised=True, unit=log.session)
tried = rollout(fit.world, new, rows=rows, horizon=fit.mdp.horizon, seed=1, record=["clicks"]).sites["clicks"].sum(2)
ax = plots.axes("What attracts in your log (lines: 95 % intervals)", "item", "probability to attract, if looked at")
best, error = fit.user.attraction, standard_errors(fit.user, log.lists)["attraction"]
plots.bars(ax, fit.item_ids, {f"state {s}": (best[i], 1.96 * error[i]) for i, s in enumerate(fit.state_ids)})
print(log, fit, f"Picture: {plots.save(ax, options.out / 'your_own_log.png')}", sep="\n")
print(f"Clicks a list under the new ranking: {value} in the log's states, {tried.float().mean():.3f} in its own")
