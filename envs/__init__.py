"""The worlds. Importing this registers their Gymnasium ids, without importing the worlds themselves."""

import gymnasium

for _id, _one, _many in (
    ("CascadingSession-v0", "cascading_session", "cascading_sessions"),
    ("MovieLensSession-v0", "movielens_session", "movielens_sessions"),
):
    gymnasium.register(
        id=f"ethogram/{_id}",
        entry_point=f"ethogram.envs.sessions:{_one}",
        vector_entry_point=f"ethogram.envs.sessions:{_many}",
    )
