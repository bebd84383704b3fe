"""The worlds. Importing this registers their Gymnasium ids, without importing the worlds themselves."""

import gymnasium

for _id, _maker in (
    ("CascadingSession-v0", "sessions.ids:cascading_session"),
    ("MovieLensSession-v0", "datasets.ids:movielens_session"),
    ("Adoption-v0", "adoption.ids:adoption"),
    ("Epidemic-v0", "epidemics.ids:epidemic"),
    ("EpidemicPlanner-v0", "epidemics.ids:epidemic_planner"),
    ("GuiCarry-v0", "gui.ids:carry"),
    ("GuiForm-v0", "gui.ids:form"),
    ("GuiUndo-v0", "gui.ids:undo"),
    ("GuiSearch-v0", "gui.ids:search"),
    ("GuiChecklist-v0", "gui.ids:checklist"),
    ("GuiReactive-v0", "gui.ids:reactive"),
    ("MiniWoB-v0", "browser.ids:miniwob"),
    ("GuiPage-v0", "browser.ids:gui_page"),
):
    gymnasium.register(
        id=f"ethogram/{_id}",
        entry_point="ethogram.simulator.gym.makers:make_env",
        vector_entry_point="ethogram.simulator.gym.makers:make_vector",
        kwargs={"maker": f"ethogram.envs.{_maker}"},
        order_enforce=False,  # WorldEnv says itself that it has not begun, or has ended
    )
