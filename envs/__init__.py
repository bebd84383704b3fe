"""The worlds. Importing this registers their Gymnasium ids, without importing the worlds themselves."""

import gymnasium

for _id, _maker in (
    ("CascadingSession-v0", "sessions.ids:cascading_session"),
    ("MovieLensSession-v0", "datasets.ids:movielens_session"),
    ("Choosing-v0", "choices.ids:choosing"),
    ("Adoption-v0", "adoption.ids:adoption"),
    ("Epidemic-v0", "epidemics.ids:epidemic"),
    ("EpidemicPlanner-v0", "epidemics.ids:epidemic_planner"),
    ("GuiCarry-v0", "gui_tasks.ids:carry"),
    ("GuiForm-v0", "gui_tasks.ids:form"),
    ("GuiUndo-v0", "gui_tasks.ids:undo"),
    ("GuiSearch-v0", "gui_tasks.ids:search"),
    ("GuiChecklist-v0", "gui_tasks.ids:checklist"),
    ("GuiReactive-v0", "gui_tasks.ids:reactive"),
    ("GuiCompare-v0", "gui_tasks.ids:compare"),
    ("GuiKeypad-v0", "gui_tasks.ids:keypad"),
    ("GuiTermination-v0", "gui_tasks.ids:termination"),
    ("GuiRecentAction-v0", "gui_tasks.ids:recent_action"),
    ("GuiMultiApp-v0", "gui_tasks.ids:multi_app"),
    ("GuiReplay-v0", "gui_logs.ids:gui_replay"),
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
