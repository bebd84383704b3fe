"""SessionView: the picture of a session."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.simulator.gym import View

MOST_LISTS = 12  # in a picture: the last ones


@dataclass(frozen=True)
class SessionView(View):
    """The lists shown and the items clicked as a picture.

    decoded: an action to its slate, (m,) of items and -1, where actions are not slates.
    """

    decoded: Callable[[Any], Any] = np.asarray

    def note(self, observation: Any, action: Any, reward: float, info: Mapping[str, Any]) -> Any:
        """Where the user is; the list, and the item clicked."""
        return int(observation), None if action is None else self.decoded(action).tolist(), int(info["clicked_item"])

    def picture(self, notes: Sequence[Any]) -> Any:
        """The last lists side by side, and the user's state in which each was shown."""
        from ethogram.simulator import report

        states, slates, items = zip(*notes, strict=True)
        clicks, steps = sum(item >= 0 for item in items), len(notes) - 1
        title = f"Items shown, clicked ones in colour: {clicks} clicks on {steps} lists; then state {states[-1]}"
        ax = report.plots.axes(title, "list, and the user's state before it", "position")
        if not steps:
            return ax
        first = max(steps - MOST_LISTS, 0)
        shown = np.array(slates[first + 1 :])
        clicked = (shown == np.array(items[first + 1 :])[:, None]) & (shown >= 0)
        labels = [f"{first + k + 1}\n({state})" for k, state in enumerate(states[first:-1])]
        return report.pictures.lists(ax, shown, clicked, labels)
