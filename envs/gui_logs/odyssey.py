"""GUI-Odyssey: annotations, a JSON file an episode."""

from pathlib import Path

from ..gui_codecs import THOUSANDTHS, Odyssey
from ..gui_metrics import RecordedEpisode, RecordedStep
from .files import Record, checked_path, entry, files, json_objects, located, numbers, objects
from .recording import Recording

_CODEC = Odyssey()


def load_odyssey(path: str | Path) -> Recording:
    """GUI-Odyssey (Lu et al., 2024), grouped by category.

    path: an annotation, packed or not, or a folder of them (``annotations/``).

    A step's box is "sam2_bbox", left, top, right, bottom in thousandths, where it has one. What else stood on the
    screen is not recorded. Instructions are "low_level_instruction", where there are such.

    Raises FileNotFoundError, or ValueError that names the file, episode and step that is wrong.
    """
    annotations = files(checked_path(path), "*.json", "*.json.gz")
    return Recording(tuple(_episode(*part) for file in annotations for part in json_objects(file)), "odyssey")


def _episode(where: str, record: Record) -> RecordedEpisode:
    episode = str(entry(record, "episode_id", (str, int), where))
    with located(f"episode {episode} ({where})"):
        device, task = entry(record, "device_info", dict), entry(record, "task_info", dict)
        screen = entry(device, "w", int, "'device_info'"), entry(device, "h", int, "'device_info'")
        goal, group = entry(task, "instruction", str, "'task_info'"), entry(task, "category", str, "'task_info'")
        length, written = record.get("step_length"), objects(record, "steps")
        if length is not None and length != len(written):
            raise ValueError(f"it has {len(written)} steps, and 'step_length' is {length}: expected as many")
    steps = []
    for number, step in enumerate(written):
        with located(f"episode {episode}, step {number} ({where})"):
            box = step.get("sam2_bbox") or ()
            corners = numbers(box, 4, "'sam2_bbox'") if box else ()
            boxes = ((*(part / THOUSANDTHS.width for part in corners),),) if box else ()
            said, picture = (str(step.get(key) or "") for key in ("low_level_instruction", "screenshot"))
            steps.append(RecordedStep(_CODEC.decode(step), boxes, (), screen, said, screenshot=picture))  # type: ignore[arg-type]
    return RecordedEpisode(episode, goal, tuple(steps), group)
