"""Contact networks as compressed rows, and exact sums over contacts: the hot primitive of population worlds.

A message is rounded once to a multiple of ``resolution`` and summed in float64, in which sums of such multiples are
exact as long as they stay below 2^53 of them (an error otherwise). Exact sums are the same in any order: along rows
or against them, in one process or in shards, on any device, all at once or by adding what has changed.
"""

from .columns import Names, as_column, called, check_same_people, checked_names, html_table, rows_of
from .contacts import Contacts
from .edges import node_columns
from .generators import configuration, erdos_renyi, scale_free, small_world, within_groups
from .meetings import MeanField, RandomMeetings, Timetable
from .sums import RESOLUTION, ContactSum, Network, check_rows, over_shards, sum_over_contacts

__all__ = [
    "RESOLUTION",
    "ContactSum",
    "Contacts",
    "MeanField",
    "Names",
    "Network",
    "RandomMeetings",
    "Timetable",
    "as_column",
    "called",
    "check_rows",
    "check_same_people",
    "checked_names",
    "configuration",
    "erdos_renyi",
    "html_table",
    "node_columns",
    "over_shards",
    "rows_of",
    "scale_free",
    "small_world",
    "sum_over_contacts",
    "within_groups",
]
