"""The prompt of HiconAgent as text and tokens, and which of its tokens are past screens (arXiv:2512.01763).

The order of its parts is the paper's, read in its released code; the wording of the instruction is ours.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from ethogram.envs.gui_codecs.calls import Calls
from ethogram.envs.gui_codecs.units import Units

from .samples import Sample

IMAGE, START, END = "<|image_pad|>", "<|vision_start|>", "<|vision_end|>"
TURN, OVER = "<|im_start|>", "<|im_end|>"
SYSTEM = "You are a helpful assistant."  # what Qwen2.5-VL's chat template says where no system turn is given
INSTRUCTION = """You operate a device through its screen. You see the user's instruction, the last screens with what \
was done on each, and the present screen. Choose the next single action.
First think, then act. Write exactly: <think>your thoughts</think><action>one action</action>
Actions:
click(start_box='(x,y)')
long_press(start_box='(x,y)')
type(content='text')
scroll(direction='up or down or left or right')
open_app(app_name='name')
wait()
press_back()
press_home()
press_recent()
press_enter()
impossible()
finished()
Points are pixels of the present screen, from its top left corner. For example:
<think>The button to search is at the top right.</think><action>click(start_box='(200,50)')</action>
The user's instruction: """


class Encoded(NamedTuple):
    """A sample as a model takes it."""

    ids: Tensor  # (t,) int64 token ids
    history: Tensor  # (t,) bool, the spans of past screens: label, start, image, end, newline
    pixels: Tensor  # (patches, values of one) float32, of all its pictures
    grid: Tensor  # (pictures, 3) int64, patches of each: times, rows, columns


def codec(size: tuple[int, int]) -> Calls:
    """The grammar of calls on a picture of (width, height) pixels, as the model sees it."""
    return Calls(Units(*size), dialect="hicon")


def prompt(sample: Sample, sizes: Sequence[tuple[int, int]], tokens: Sequence[int]) -> str:
    """The text of a sample, to the point where its answer begins.

    sizes: (width, height) pixels of each picture as the model sees it, in which past points are written.
    tokens: how many image tokens stand for each picture.

    Raises ValueError for a past action that the grammar cannot write.
    """
    pictures = [f"Image_{i}:{START}{IMAGE * count}{END}" for i, count in enumerate(tokens)]
    lines = [
        f"{picture}\nStep_{i}:{codec(size).encode(action)}.\n"
        for i, (picture, size, action) in enumerate(zip(pictures, sizes, sample.actions, strict=False))
    ]
    user = f"{INSTRUCTION}{sample.goal}\n{''.join(lines)}{pictures[-1]}"
    return f"{TURN}system\n{SYSTEM}{OVER}\n{TURN}user\n{user}{OVER}\n{TURN}assistant\n"


def past_screens(ids: Sequence[int], image: int, decode: Callable[[Sequence[int]], str]) -> list[bool]:
    """Which tokens belong to lines of past screens: all pictures' lines but the last one's.

    A line is found by its run of image tokens, ``image``; it takes the vision token on each side, before them the
    tokens that spell its label, "Image_i:", and behind them a token that is the newline. A tokeniser that has part of a
    label or the newline in one token with other text keeps that token.
    """
    marked = [False] * len(ids)
    starts = [k for k, token in enumerate(ids) if token == image and (k == 0 or ids[k - 1] != image)]
    for number, first in enumerate(starts[:-1]):
        last = first
        while ids[last] == image:
            last += 1  # the vision token at the end
        label = first - 1
        while label > 0 and f"Image_{number}:".endswith(decode(ids[label - 1 : first - 1])):
            label -= 1
        after = last + 1
        after += decode(ids[after : after + 1]) == "\n"
        marked[label:after] = [True] * (after - label)
    return marked
