"""The worlds. Importing this registers their Gymnasium ids, without importing the worlds themselves."""

import gymnasium

for _id, _module, _one, _many in (
    ("CascadingSession-v0", "sessions.ids", "cascading_session", "cascading_sessions"),
    ("MovieLensSession-v0", "datasets.ids", "movielens_session", "movielens_sessions"),
    ("Adoption-v0", "adoption", "adoption", "adoptions"),
    ("Epidemic-v0", "epidemics.ids", "epidemic", "epidemics"),
    ("EpidemicPlanner-v0", "epidemics.ids", "epidemic_planner", "epidemic_planners"),
):
    gymnasium.register(
        id=f"ethogram/{_id}",
        entry_point=f"ethogram.envs.{_module}:{_one}",
        vector_entry_point=f"ethogram.envs.{_module}:{_many}",
        order_enforce=False,  # WorldEnv says itself that it has not begun, or has ended
    )
