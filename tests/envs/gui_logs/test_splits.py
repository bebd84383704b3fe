"""Parts of recordings: episodes chosen, groups held out, and the apps that AndroidControl's episodes are about."""

import pytest

from ethogram.envs.gui import GuiAction
from ethogram.envs.gui_logs import Recording, apps_of
from ethogram.envs.gui_metrics import RecordedEpisode, RecordedStep


def about(number, goal="do it", opened=None):
    done = GuiAction("open", text=opened) if opened else GuiAction("back")
    return RecordedEpisode(str(number), goal, (RecordedStep(done),))


MANY = Recording(tuple(about(i) for i in range(60)))


def test_selected_episodes_come_in_the_order_asked():
    assert [episode.id for episode in MANY.select([5, 2]).episodes] == ["5", "2"]
    with pytest.raises(ValueError, match="from 0 to 59"):
        MANY.select([60])
    with pytest.raises(ValueError, match="more than once"):
        MANY.select([1, 1])


def test_a_group_is_on_one_side_whatever_else_was_recorded():
    groups = [f"app {i % 20}" for i in range(60)]
    train, held_out = MANY.split(groups)
    names = [{groups[int(episode.id)] for episode in part.episodes} for part in (train, held_out)]
    assert not names[0] & names[1]
    assert names[0] | names[1] == set(groups)
    assert len(train) + len(held_out) == 60
    fewer = MANY.some(40).split(groups[:40])[1]
    assert {episode.id for episode in fewer.episodes} == {e.id for e in held_out.episodes if int(e.id) < 40}


def test_a_share_of_groups_is_held_out():
    """1,000 groups; the 4.5-sigma band fails for one hash in 147,000."""
    many = Recording(tuple(about(i) for i in range(1000)))
    held_out = many.split([f"site {i}" for i in range(1000)], share=0.3)[1]
    assert len(held_out) == pytest.approx(300, abs=4.5 * (1000 * 0.3 * 0.7) ** 0.5)


def test_what_cannot_be_split_is_refused():
    with pytest.raises(ValueError, match="59 groups of 60"):
        MANY.split(["a"] * 59)
    with pytest.raises(ValueError, match="one side"):
        MANY.split(["a"] * 60)
    with pytest.raises(TypeError, match="one of the groups is None"):
        MANY.split([None] * 60)


def test_an_app_is_opened_or_said_or_named_or_unknown():
    episodes = (
        about(0, "Open the Side Chef app and cook", "SideChef"),
        about(1, "In the Side Chef app, look for sushi."),
        about(2, "Find sushi in sidechef please"),
        about(3, "On the New York Times News app read", "NYTimes"),
        about(4, "I like the New York Times News app."),
        about(5, "read something"),
    )
    assert apps_of(Recording(episodes)) == ("sidechef",) * 3 + ("nytimes",) * 2 + ("readsomething",)
