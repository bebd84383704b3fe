"""BrowserView: the picture of a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.simulator.gym import View

from .scripts import KINDS
from .world import texts


@dataclass(frozen=True)
class BrowserView(View):
    """The present screen, as pixels where there are any, else drawn from boxes; problems and reasons as infos."""

    def info(self, run: Any) -> dict[str, Any]:
        """ "problem": what of the action was not done, and why; "reason": why the episode was truncated; or ""."""
        names = ("problem", "reason")
        return {name: np.array([getattr(moment, name) for moment in run.state], dtype=object) for name in names}

    def note(self, observation: Any, action: Any, reward: float, info: Mapping[str, Any]) -> Any:
        """The screen; the reward for what led to it."""
        return observation, reward

    def picture(self, notes: Sequence[Any]) -> Any:
        """The last screen."""
        from ethogram.simulator import report

        seen, reward = notes[-1]
        title = f"{seen['goal'][:60]}\nstep {len(notes) - 1}, reward {reward:g}"
        ax = report.plots.axes(title, "", "", size=(3.6, 5.4))
        if "pixels" in seen:
            ax.imshow(seen["pixels"])
            ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
            return ax
        told = len(texts(seen))
        kinds = [KINDS[kind] for kind in seen["kind"][:told]]
        return report.pictures.screen(ax, seen["box"][:told], kinds, texts(seen))
