"""Economy: jobs, demand and money of a week."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Economy:
    """A labour market that moves once a week. Money is in weekly wages. Designed here.

    People spend less when they isolate or have no job; a fall of demand below normal, or a closed workplace, costs
    jobs; those who look for work find it faster when demand is high. Stimulus keeps the spending of the jobless up.
    """

    working_age: tuple[int, int] = (18, 65)
    unemployed_at_start: float = 0.04
    separation: float = 0.004  # probability a week of losing a job in normal times
    separation_by_demand: float = 0.3  # more, for each unit that demand falls short
    separation_by_closure: float = 0.06  # more, where the workplace is closed
    hiring: float = 0.12  # probability a week of finding a job, at normal demand
    isolated_spend_less: float = 0.35  # share of spending
    jobless_spend_less: float = 0.4
    benefit: float = 0.4  # of a weekly wage, without a job
    spending: float = 0.9  # of a weekly wage
