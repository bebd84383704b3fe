"""What surrounds the model: samples, the spans of past screens in any tokens, rewards of texts."""

import subprocess
import sys

import pytest
import torch

from ethogram.agents.gui_vlm import Sample, Samples, graded, prompt, steps_of_pictures
from ethogram.agents.gui_vlm.layout import codec, past_screens
from ethogram.envs.gui import GuiAction

Image = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install 'ethogram[vlm]'")
TAP, SCROLL = GuiAction("tap", (0.5, 0.5)), GuiAction("scroll", direction="down")
CALLS = codec((1000, 1000))


def screen():
    return Image.new("RGB", (28, 28))


def test_rows_look_back_as_far_as_they_are_allowed_to():
    screens = [screen() for _ in range(4)]
    steps = steps_of_pictures([("go", screens, [TAP, SCROLL, TAP, SCROLL]), ("stop", screens[:1], [TAP])], 2)
    assert steps.prompts.available.tolist() == [0, 1, 2, 2, 0]
    assert (steps.row.tolist(), steps.step.tolist()) == ([0, 0, 0, 0, 1], [0, 1, 2, 3, 0])
    last = steps.prompts.samples[3]
    assert (last.screens, last.actions, last.did) == (tuple(screens[1:]), (SCROLL, TAP), SCROLL)
    short = steps.prompts.rows(torch.tensor([3, 3])).limited(torch.tensor([0, 1]))
    assert short.available.tolist() == [0, 1]
    assert short.samples[1].screens == tuple(screens[2:])
    assert short.repeated(2).available.tolist() == [0, 0, 1, 1]


def test_images_are_numbered_anew_and_the_answer_begins_where_the_prompt_ends():
    sample = Sample("go", tuple(screen() for _ in range(3)), (TAP, SCROLL)).limited(1)
    text = prompt(sample, [(28, 28)] * 2, [1, 2])
    picture = "<|vision_start|><|image_pad|><|vision_end|>"
    wide = picture.replace("pad|>", "pad|><|image_pad|>")
    assert f"\nImage_0:{picture}\nStep_0:scroll(direction='down').\nImage_1:{wide}<|im_end|>" in text
    assert text.endswith("<|im_start|>assistant\n")


def test_a_label_that_shares_a_token_with_other_text_keeps_that_token():
    for label in (["Image", "_0:"], [".\nIm", "age", "_0", ":"], [".\nImage_0:"]):
        tokens = ["go", *label, "<s>", "P", "P", "<e>", "\n", "Step", "<s>", "P", "<e>"]
        found = past_screens(tokens, "P", "".join)
        kept = "".join(token for token, gone in zip(tokens, found, strict=True) if not gone)
        assert kept == "go" + {".": label[0], "I": ""}[label[0][0]] + "Step<s>P<e>"


@pytest.mark.parametrize(
    ("call", "truth", "worth", "right"),
    [
        ("click(start_box='(500,500)')", TAP, 3, True),
        ("click(start_box='(500,639)')", TAP, 2.861, True),
        ("click(start_box='(500,641)')", TAP, 2.859, False),
        ("click(start_box='somewhere')", TAP, 2, False),
        ("press_back()", TAP, 1, False),
        ("scroll(direction='up')", SCROLL, 2, False),
        ("scroll(direction='down')", SCROLL, 3, True),
        ("type(content='hello there')", GuiAction("type", text="hello"), 3, True),
        ("type(content='bye')", GuiAction("type", text="hello"), 2, False),
        ("finished()", GuiAction("done", status="success"), 3, True),
        ("nonsense", TAP, 1, False),
    ],
)
def test_rewards_are_form_type_and_value(call, truth, worth, right):
    assert graded(f"<think>a\nb</think>\n<action>{call}</action>", truth, CALLS) == (pytest.approx(worth), right)
    assert graded(call, truth, CALLS) == (pytest.approx(worth - 1), right)


def test_what_cannot_be_a_sample_is_refused():
    with pytest.raises(ValueError, match="2 screens and 0 actions"):
        Sample("go", (screen(), screen()))
    with pytest.raises(TypeError, match="expected a PIL image"):
        Sample("go", (torch.zeros(3, 28, 28),))
    with pytest.raises(ValueError, match="episode 0 has 1 screens and 2 actions"):
        steps_of_pictures([("go", [screen()], [TAP, TAP])], 1)
    assert len(Samples(())) == 0


def test_without_transformers_it_says_what_to_install():
    code = "import sys; sys.modules['transformers'] = None\nfrom ethogram.agents.gui_vlm import QwenBackend\n"
    code += "try: QwenBackend.from_pretrained('x')\nexcept ModuleNotFoundError as error: print(error)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "QwenBackend needs transformers: pip install 'ethogram[vlm]'"
