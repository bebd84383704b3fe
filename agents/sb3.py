"""Stable-Baselines3, both ways: our vector environments for its trainers, its trained models as policies of ours.

Importing this module imports ``stable_baselines3`` (``pip install "ethogram[sb3]"``); nothing else here does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from ethogram.envs.sessions.slates import Slates
from ethogram.simulator import Draws, History, map_column


class SB3VecEnv(VecEnv):
    """A native Gymnasium vector environment as Stable-Baselines3's ``VecEnv``, stepped in one call.

    Its semantics: a row that ends starts again in the same step, its last observation is in
    ``infos[i]["terminal_observation"]``, and ``infos[i]["TimeLimit.truncated"]`` says whether only time ran out.
    Both keys are there where a row has ended; besides them a row's info is the environment's.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        """envs: made with ``autoreset_mode="SameStep"``, for instance by ``gymnasium.make_vec``."""
        mode = envs.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ValueError(
                f"autoreset_mode of {envs} is {mode}: expected SAME_STEP; make it with autoreset_mode='SameStep'"
            )
        self.envs = envs
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> Any:
        """First observations, (num_envs, …); ``seed`` before it sets the seeds."""
        if any(self._options):
            raise ValueError(f"set_options({self._options[0]}): expected none, for the environments take none")
        observation, _ = self.envs.reset(seed=list(self._seeds))  # type: ignore[arg-type]
        self._reset_seeds()
        return observation

    def step_async(self, actions: Any) -> None:
        """Keep the actions, (num_envs, …), for ``step_wait``."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        """Observations, rewards (num_envs,) float32, dones (num_envs,) bool, infos."""
        observation, reward, terminated, truncated, final = self.envs.step(self._actions)
        done = terminated | truncated
        told = {name: values for name, values in final.items() if f"_{name}" in final and not name.startswith("final_")}
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for name, values in told.items():
            for info, value in zip(infos, values, strict=True):
                info[name] = value
        for i in done.nonzero()[0]:
            infos[i] = {name: final["final_info"][name][i] for name in told}  # of the end, not of the next start
            infos[i]["terminal_observation"] = final["final_obs"][i]
            infos[i]["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        return observation, reward, done, infos

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The vector environment's attribute, once for each row asked for."""
        return [getattr(self.envs, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Not possible: the rows are not environments of their own."""
        raise NotImplementedError(f"rows have no attribute '{attr_name}' of their own: set it when making the envs")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Not possible: the rows are not environments of their own."""
        raise NotImplementedError(f"rows have no method '{method_name}' of their own: call it on .envs")

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: Any = None
    ) -> list[bool]:
        """No row is wrapped."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[Any]:
        """A picture of each row, where the environments have ``render_mode="rgb_array"``; else None each."""
        pictures = self.envs.render() if self.envs.render_mode == "rgb_array" else None
        return [None] * self.num_envs if pictures is None else list(pictures)


@dataclass(frozen=True, eq=False)
class SB3Policy:
    """A trained Stable-Baselines3 model as a policy.

    model: any of its algorithms (PPO, A2C, DQN, …), trained on the world's observations.
    slates: the world's ``Slates`` where the model was trained on an encoding of them, ``flat=True`` (MultiDiscrete) or
        ``discrete=True`` (Discrete); its actions are then decoded.
    deterministic: the model's best action. False samples the model's distribution with keyed draws (Discrete,
        MultiDiscrete and MultiBinary actions only), so that a run repeats whatever PyTorch's global generator does.

    A batch gives a network's outputs other last bits than its rows run one by one; actions can differ where two are
    tied to that precision.
    """

    model: Any
    slates: Slates | None = None
    deterministic: bool = True

    def act(self, observation: Any, history: History, draws: Draws) -> Tensor:
        """One action a row, in the model's action space or as slates."""
        seen = map_column(lambda leaf: leaf.cpu().numpy(), observation)
        action = self.model.predict(seen, deterministic=True)[0] if self.deterministic else self._sample(seen, draws)
        if self.slates is not None:
            discrete = isinstance(self.model.action_space, gymnasium.spaces.Discrete)
            action = self.slates.every()[action] if discrete else self.slates.unflatten(action)
        else:
            action = action.astype(self.model.action_space.dtype, copy=False)  # networks' digits are int64
        return torch.from_numpy(action).to(draws.ids.device)

    def __fingerprint__(self) -> Any:
        """The network and how it is asked; beside it a model keeps what it computed last."""
        policy = self.model.policy
        spaces = policy.observation_space, policy.action_space
        return type(policy), policy.state_dict(), spaces, self.slates, self.deterministic

    @torch.no_grad()
    def _sample(self, seen: Any, draws: Draws) -> np.ndarray[Any, Any]:
        """Each digit by Gumbel-max on the model's logits; yes or no by its probability."""
        policy = self.model.policy
        if not hasattr(policy, "get_distribution"):
            raise ValueError(f"{type(policy).__name__} has no distribution to sample: use deterministic=True")
        policy.set_training_mode(False)
        found = policy.get_distribution(policy.obs_to_tensor(seen)[0]).distribution
        if isinstance(found, torch.distributions.Bernoulli):  # MultiBinary
            chosen = draws.bernoulli("digits", found.probs.to(draws.ids.device), found.probs.shape[1])
            return chosen.to(torch.int8).cpu().numpy()
        digits = found if isinstance(found, list) else [found]
        if not all(isinstance(digit, torch.distributions.Categorical) for digit in digits):
            raise ValueError(f"actions are drawn from {digits}: expected Categorical; use deterministic=True")
        picks = [
            (digit.logits.to(draws.ids.device) + draws.gumbel(f"digit {k}", digit.logits.shape[1])).argmax(1)
            for k, digit in enumerate(digits)
        ]
        return torch.stack(picks, dim=1).cpu().numpy() if isinstance(found, list) else picks[0].cpu().numpy()
