"""What does a period of archetypes cost for a whole city of 8.4 million: grouping by nine attributes, and decisions?

Run: python benchmarks/llm/grouping_speed.py        (a minute on one core; --quick: 200,000 people)
     --agent-torch FOLDER sets beside it AgentTorch's own way, from an unpacked wheel
         (pip download --no-deps agent-torch==0.6.0; python -m zipfile -e agent_torch-0.6.0-py3-none-any.whl FOLDER)

Attributes are independent, with 432,000 combinations; answers are known, so that nobody is asked. CPU seconds of one
thread, the median of five. AgentTorch makes a mask of all people for each combination, people or none, so it is given
the first few attributes; its ``Behavior`` runs as it is, without the modules that talk to a language model.
"""

import argparse
import importlib.util
import statistics
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch

from ethogram.agents.citizens import Answers, Archetypes, grouped
from ethogram.simulator import Draws

SIZES = (10, 2, 6, 5, 4, 6, 5, 3, 2)


def crowd(n: int) -> dict[str, torch.Tensor]:
    """Nine columns of int8, low levels likelier."""
    rng, columns = np.random.default_rng(0), {}
    for k, size in enumerate(SIZES):
        share = np.arange(size, 0, -1.0) ** 2
        columns[f"attribute {k}"] = torch.from_numpy(rng.choice(size, n, p=share / share.sum()).astype(np.int8))
    return columns


def seconds(job) -> float:
    """CPU seconds, the median of five after one to warm up."""
    found = []
    for _ in range(6):
        began = time.process_time()
        job()
        found.append(time.process_time() - began)
    return statistics.median(found[1:])


def agent_torch(folder: Path, seen: dict[str, torch.Tensor], attributes: int) -> tuple[int, float]:
    """Combinations of the first attributes, and the CPU seconds that AgentTorch's masks and sampling take for them."""
    for name, has in (("archetype", "Archetype"), ("backend", "DspyLLM"), ("prompt_manager", "PromptManager")):
        module = ModuleType(f"agent_torch.core.llm.{name}")
        setattr(module, has, object)
        sys.modules[module.__name__] = module
    loader = ModuleType("agent_torch.core.dataloader")
    loader.LoadPopulation = object
    sys.modules |= {name: ModuleType(name) for name in ("agent_torch", "agent_torch.core", "agent_torch.core.llm")}
    sys.modules[loader.__name__] = loader
    spec = importlib.util.spec_from_file_location("behavior", folder / "agent_torch/core/llm/behavior.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = list(seen)[:attributes]
    shape = SIZES[:attributes]
    combinations = [dict(zip(names, map(int, which), strict=True)) for which in np.ndindex(*shape)]
    n = len(seen[names[0]])
    manager = SimpleNamespace(combinations_of_prompt_variables_with_index=combinations)
    own = SimpleNamespace(prompt_manager=manager, population=SimpleNamespace(population_size=n))
    began = time.process_time()
    masks = module.Behavior.get_masks_for_each_group(own, {name: seen[name] for name in names})
    module.Behavior.get_sampled_behavior(own, torch.zeros(n, 1), masks, [[0.5] * len(combinations)])
    return len(combinations), time.process_time() - began


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=8_400_000)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--agent-torch", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    n = 200_000 if options.quick else options.people
    seen, draws = crowd(n), Draws(0, torch.arange(n))
    by = dict.fromkeys(seen)
    groups = grouped(seen, by)
    print(f"{n:,} people, {int(groups.sizes.prod()):,} combinations, of which {len(groups.codes):,} have people")
    print(f"grouping and counting     {seconds(lambda: grouped(seen, by).codes):.3f} CPU s")
    for budget in (100, 1000, 10_000, None):
        policy = Archetypes(Answers(lambda questions: [(0.3, 0.9)] * len(questions)), by, budget=budget)
        coverage = policy.coverage(seen)
        took = seconds(lambda p=policy: p.act(seen, None, draws))
        full, most = coverage.share[-1], sum(coverage.share[6:])
        print(f"and decisions, {coverage.questions:7,} questions: {took:.3f} CPU s; ", end="")
        print(f"{full:.1%} of people asked about in full, {most:.1%} by 6 columns or more")
    if options.agent_torch:
        count, took = agent_torch(options.agent_torch, seen, 2)
        print(f"AgentTorch, {count} combinations: {took:.2f} CPU s, {took / count:.3f} each")
        hours, terabytes = took / count * 432_000 / 3600, 432_000 * n * 4 / 1e12
        print(f"  for all 432,000: {hours:,.0f} CPU hours and {terabytes:,.1f} TB of masks")


if __name__ == "__main__":
    main()
