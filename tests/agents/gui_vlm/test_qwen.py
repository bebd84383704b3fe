"""QwenBackend on a model of Qwen2.5-VL's architecture, small and random: against the model's own forward."""

import json

import numpy as np
import pytest
import torch
from gymnasium import spaces

from ethogram.agents.gui_learning import HCPO
from ethogram.agents.gui_vlm import QwenBackend, Sample, Samples, pictured, steps_of_pictures
from ethogram.agents.learning import train
from ethogram.envs.browser import BrowserError, BrowserGui, find_browser, html_page
from ethogram.envs.gui import GuiAction, GuiActions, action_space
from ethogram.simulator import Draws, Transition, rollout

transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'ethogram[vlm]'")
Image = pytest.importorskip("PIL.Image")

SPECIAL = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
LAYERS = 3
TAP = GuiAction("tap", (0.25, 0.5))
BACK = GuiAction("back")


def tokenizer():
    """Qwen's tokeniser, trained on a line of a prompt."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    whole = transformers.Qwen2Tokenizer()._tokenizer
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = whole.pre_tokenizer
    letters = pre_tokenizers.ByteLevel.alphabet()
    line = ["Image_0:\nStep_0:click(start_box='(12,34)').\nImage_1:\n<think>"]
    trained.train_from_iterator(
        line * 3, trainers.BpeTrainer(vocab_size=400, initial_alphabet=letters, show_progress=False)
    )
    learnt = json.loads(trained.to_str())["model"]
    merges = [tuple(pair) for pair in learnt["merges"]]
    return transformers.Qwen2Tokenizer(learnt["vocab"], merges, additional_special_tokens=list(SPECIAL))


def config(tokens):
    of = {name: tokens.convert_tokens_to_ids(f"<|{name}|>") for name in ("image_pad", "video_pad")}
    of |= {name: tokens.convert_tokens_to_ids(f"<|{name}|>") for name in ("vision_start", "vision_end")}
    heads = {"num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 2}
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}
    text = {"vocab_size": len(tokens), "hidden_size": 32, "intermediate_size": 64, **heads, "rope_parameters": rope}
    seen = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32}
    return transformers.Qwen2_5_VLConfig(
        text_config=text | {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0},
        vision_config=seen | {"fullatt_block_indexes": [1], "window_size": 56},
        image_token_id=of["image_pad"],
        video_token_id=of["video_pad"],
        vision_start_token_id=of["vision_start"],
        vision_end_token_id=of["vision_end"],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder such as the published weights come in."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    place, tokens = tmp_path_factory.mktemp("tiny"), tokenizer()
    torch.manual_seed(0)
    kind = config(tokens)
    kind.text_config.initializer_range = kind.initializer_range = 0.2  # far from uniform chances
    transformers.Qwen2_5_VLForConditionalGeneration(kind).save_pretrained(place)
    tokens.save_pretrained(place)
    Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=512 * 28 * 28).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def backend(folder):
    return QwenBackend.from_pretrained(folder, max_pixels=6 * 28 * 28, length=5).double().eval()


def picture(seed, size=(60, 90)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def samples():
    """Of two, no and one step of history, and pictures of two sizes."""
    screens = [picture(0), picture(1, (90, 60)), picture(2)]
    return Samples((
        Sample("open Wi-Fi", tuple(screens), (TAP, BACK), did=TAP),
        Sample("go back", (screens[1],), did=BACK),
        Sample("open Wi-Fi", tuple(screens[:2]), (TAP,), did=BACK),
    ))  # fmt: skip


def own_log_probs(backend, sample, answer):
    """The same by the model's own forward, of one sample and one answer, with nothing dropped."""
    one = backend.encode(sample)
    ids = torch.cat([one.ids, answer - 1])[None]
    kinds = (ids == backend.image).int()
    out = backend.model(
        input_ids=ids, pixel_values=one.pixels, image_grid_thw=one.grid, mm_token_type_ids=kinds, use_cache=False
    )
    scores = out.logits[0, len(one.ids) - 1 : -1].log_softmax(-1)
    return scores.gather(1, (answer - 1)[:, None])[:, 0]


def dropped_whole(backend, sample, answer, drop_at):
    """The same in one pass without a cache, tokens taken out of the sequence by hand at a layer."""
    one, body = backend.encode(sample), backend.model.model
    ids = torch.cat([one.ids, answer - 1])[None]
    image = ids == backend.image
    tokens = backend.model.get_input_embeddings()(ids)
    tokens = tokens.masked_scatter(
        image[..., None], torch.cat(body.get_image_features(one.pixels, one.grid)[1]).double()
    )
    positions, _ = body.get_rope_index(ids, image.int(), image_grid_thw=one.grid)
    left = torch.cat([~one.history, torch.ones(len(answer), dtype=torch.bool)])
    text = body.language_model
    for index, layer in enumerate(text.layers):
        if index == drop_at:
            tokens, positions = tokens[:, left], positions[..., left]
        size = tokens.shape[1]
        mask = torch.full((1, 1, size, size), -1e30, dtype=torch.double).triu(1)
        tokens = layer(tokens, attention_mask=mask, position_embeddings=text.rotary_emb(tokens, positions))
    scores = backend.model.lm_head(text.norm(tokens))[0, -len(answer) - 1 : -1].log_softmax(-1)
    return scores.gather(1, (answer - 1)[:, None])[:, 0]


def answers(backend, samples, group=2, **settings):
    return backend.generate(samples, Draws(3, torch.arange(group * len(samples))), group=group, **settings)


def test_the_prompt_is_hicon_agents_and_its_past_screens_are_found(backend, samples):
    one = backend.encode(samples.samples[0])
    text = backend.tokenizer.decode(one.ids).replace("<|image_pad|>", "")
    seen = "<|vision_start|><|vision_end|>"
    assert text.endswith(
        f"instruction: open Wi-Fi\nImage_0:{seen}\nStep_0:click(start_box='(14,42)').\n"
        f"Image_1:{seen}\nStep_1:press_back().\nImage_2:{seen}<|im_end|>\n<|im_start|>assistant\n"
    )
    gone = backend.tokenizer.decode(one.ids[one.history]).replace("<|image_pad|>", "")
    assert gone == f"Image_0:{seen}\nImage_1:{seen}\n"
    assert not backend.encode(samples.samples[1]).history.any()
    together = backend.image_processor(images=list(samples.samples[0].screens), return_tensors="pt")
    assert torch.equal(one.pixels, together["pixel_values"])
    assert torch.equal(one.grid, together["image_grid_thw"])


def test_a_picture_fitted_once_is_read_as_it_was(backend):
    large = picture(0, (300, 500))
    fitted = backend.fitted(large)
    assert fitted.size == (28, 84)
    plain, again = (backend.encode(Sample("go", (screen,))) for screen in (large, fitted))
    assert torch.equal(plain.pixels, again.pixels)


def test_with_nothing_dropped_it_is_the_models_own_forward(backend, samples):
    answer = answers(backend, samples)
    found = backend.log_probs_of(samples, answer)
    for row, tokens in enumerate(answer):
        tokens = tokens[tokens > 0]
        own = own_log_probs(backend, samples.samples[row // 2], tokens)
        assert torch.allclose(found[row, : len(tokens)], own, atol=1e-6)
        assert not found[row, len(tokens) :].any()


def test_dropping_equals_a_pass_without_a_cache_whose_tokens_are_taken_out_by_hand(backend, samples):
    answer = answers(backend, samples, drop_at=1)
    found = backend.log_probs_of(samples, answer, drop_at=1)
    for row, tokens in enumerate(answer):
        tokens = tokens[tokens > 0]
        own = dropped_whole(backend, samples.samples[row // 2], tokens, 1)
        assert torch.allclose(found[row, : len(tokens)], own, atol=1e-6)
    assert not torch.allclose(found, backend.log_probs_of(samples, answer), atol=1e-3)


def test_dropping_at_the_end_or_without_a_past_changes_nothing(backend, samples):
    answer = answers(backend, samples)
    plain = backend.log_probs_of(samples, answer)
    assert torch.equal(backend.log_probs_of(samples, answer, drop_at=LAYERS), plain)
    alone = samples.limited(0)
    plain = backend.log_probs_of(alone, answer)
    assert torch.allclose(backend.log_probs_of(alone, answer, drop_at=1), plain, atol=1e-9)
    with pytest.raises(ValueError, match="drop_at is 4"):
        backend.log_probs_of(samples, answer, drop_at=LAYERS + 1)


def test_with_nothing_dropped_it_writes_what_the_models_own_generate_does(backend, samples):
    answer = answers(backend, samples, group=1, temperature=0)
    for sample, tokens in zip(samples.samples, answer, strict=True):
        one = backend.encode(sample)
        ids = one.ids[None]
        given = {
            "pixel_values": one.pixels,
            "image_grid_thw": one.grid,
            "mm_token_type_ids": (ids == backend.image).int(),
        }
        own = backend.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), **given, do_sample=False, max_new_tokens=5
        )
        assert own[0, ids.shape[1] :].tolist() == (tokens[tokens > 0] - 1).tolist()


def test_with_caches_of_two_lengths_each_token_is_the_likeliest_after_a_whole_pass(backend, samples):
    answer = answers(backend, samples, group=1, temperature=0, drop_at=1)
    for sample, tokens in zip(samples.samples, answer, strict=True):
        for k, token in enumerate(tokens[tokens > 0]):
            others = [int(token), *range(1, len(backend.tokenizer) + 1, 80)]
            ends = [dropped_whole(backend, sample, torch.cat([tokens[:k], torch.tensor([o])]), 1)[-1] for o in others]
            assert ends[0] >= max(ends) - 1e-9


def test_a_group_shares_its_prompt_and_a_batch_equals_its_rows(backend, samples):
    answer = answers(backend, samples)
    together = backend.log_probs_of(samples, answer, drop_at=1)
    for row in range(6):
        one = samples.rows(torch.tensor([row // 2]))
        alone = backend.log_probs_of(one, answer[row : row + 1], drop_at=1)
        assert torch.allclose(together[row], alone[0], atol=1e-6)
        drawn = backend.generate(one, Draws(3, torch.tensor([row])))
        assert torch.equal(drawn[0], answer[row])


def test_answers_are_graded_by_hicon_agents_rules(backend, samples):
    said = [
        *("<think>a</think><action>click(start_box='(14,42)')</action>", "click(start_box='(14,42)')"),
        *("<think>a</think> <action>press_back()</action>", "<think>a</think><action>press_home()</action>"),
        *("<action>press_back()</action> and more", "<think>a</think><action>press_back(1)</action>"),
    ]
    rows = [torch.tensor(backend.tokenizer(text)["input_ids"]) + 1 for text in said]
    answer = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    assert backend.texts(answer) == said
    rewards, right = backend.graded(samples, answer, {})
    assert rewards.tolist() == pytest.approx([3, 2, 3, 1, 2, 2])
    assert right.tolist() == [True, True, True, False, True, False]
    assert backend.graded(samples, answer, {}, "code")[0].tolist() == pytest.approx([1.5, 1, 1.5, 0.5, 1, 1])


def test_hcpo_trains_it_in_a_policys_place(folder, tmp_path):
    screens = [picture(k) for k in range(3)]
    steps = steps_of_pictures([("open Wi-Fi", screens, [TAP, BACK, TAP])], memory=2)
    assert steps.prompts.available.tolist() == [0, 1, 2]
    backend = QwenBackend.from_pretrained(folder, max_pixels=4 * 28 * 28, length=4)
    hcpo = HCPO(backend, steps, updates=2, prompts=2, group=2)
    hcpo.explored = lambda update: (  # random weights earn nothing: advantages are given
        steps.prompts.rows(torch.tensor([1, 2])),
        answers(backend, steps.prompts.rows(torch.tensor([1, 2]))),
        torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]),
        {},
    )
    before = {name: value.clone() for name, value in backend.named_parameters()}
    assert torch.isfinite(train(hcpo, 2, progress=False)["alignment"]).all()
    same = [name for name, value in backend.named_parameters() if torch.equal(value, before[name])]
    assert not same
    backend.save_pretrained(tmp_path)
    again = QwenBackend.from_pretrained(tmp_path, max_pixels=4 * 28 * 28)
    assert all(torch.equal(*pair) for pair in zip(again.parameters(), backend.parameters(), strict=True))
    del hcpo.explored
    assert torch.isfinite(train(hcpo, 1, progress=False)["reward"]).all()


def test_what_is_no_such_model_is_refused(folder, backend, tmp_path, samples):
    with pytest.raises(FileNotFoundError, match="local_files_only=False downloads"):
        QwenBackend.from_pretrained(tmp_path / "none")
    transformers.Qwen2Config().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="holds a 'qwen2': expected a 'qwen2_5_vl'"):
        QwenBackend.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="model is a 'Linear'"):
        QwenBackend(torch.nn.Linear(1, 1), backend.tokenizer, backend.image_processor)
    with pytest.raises(ValueError, match="expected it in none"):
        backend.encode(Sample("a <|image_pad|>", (picture(0),)))
    with pytest.raises(ValueError, match="2 screens and 0 actions"):
        Sample("go", (picture(0), picture(1)))
    with pytest.raises(ValueError, match="has no did"):
        backend.graded(Samples((Sample("go", (picture(0),)),)), torch.ones(1, 1, dtype=torch.int64), {})


class Slides:
    """A world of two pictures, red and blue, whose second one is seen after the first action."""

    action_space = action_space(0)

    def __init__(self, pixels=True):
        self.pixels = pixels
        shown = spaces.Box(0, 255, (40, 60, 3), np.uint8)
        place = {"episode": spaces.Discrete(9), "step": spaces.Discrete(9)}
        self.observation_space = spaces.Dict({"goal": spaces.Text(9), **({"pixels": shown} if pixels else place)})

    def seen(self, step):
        colour = torch.stack([255 - 255 * step, 0 * step, 255 * step], 1).to(torch.uint8)
        shown = colour[:, None, None].expand(-1, 40, 60, 3).contiguous()
        place = {"episode": torch.arange(len(step)), "step": step}
        return {**({"pixels": shown} if self.pixels else place), "goal": np.array(["look"] * len(step), object)}

    def reset(self, draws, site):
        step = torch.zeros(len(draws.ids), dtype=torch.int64)
        return step, self.seen(step)

    def step(self, state, action, draws, site):
        return Transition(state + 1, self.seen(state + 1), action["point"][:, 0], state == 1)


ANSWERS = ("<think></think><action>click(start_box='(14,14)')</action>", "wait()", "hotkey(key='tab')", "impossible()")


@pytest.mark.parametrize("pixels", [True, False])
def test_it_acts_on_pictures_and_tells_itself_what_it_did(backend, monkeypatch, pixels):
    asked = []

    def answers(samples, draws, **settings):
        asked.append(samples.samples)
        return torch.zeros(len(samples), 1, dtype=torch.int64)

    monkeypatch.setattr(backend, "generate", answers)
    monkeypatch.setattr(backend, "texts", lambda answer: ANSWERS[: len(answer)])
    colours = ((255, 0, 0), (0, 0, 255))
    monkeypatch.setattr(backend, "pictures", lambda episode, step: Image.new("RGB", (60, 40), colours[step]))
    history = rollout(Slides(pixels), backend, rows=4, horizon=2)
    did = GuiActions(**history.action)
    assert [did.row(i, 0).type for i in range(4)] == ["tap", "wait", "noop", "done"]
    first, second = asked
    assert [len(sample.actions) for sample in first + second] == [0] * 4 + [1] * 4
    assert [sample.actions[0].type for sample in second] == ["tap", "wait", "wait", "done"]
    assert [screen.getpixel((0, 0)) for screen in second[0].screens] == list(colours)
    width, height = backend._sizes(backend._prepared(second[0].screens[0])[1])[0]
    assert did.row(0, 0).point == pytest.approx((14 / width, 14 / height), abs=1e-3)
    goal, screens, actions = pictured(history, backend.pictures)[0]
    assert (goal, len(screens), len(actions)) == ("look", 2, 2)


def test_it_acts_with_what_it_draws_and_needs_a_picture(backend):
    history = rollout(Slides(), backend, rows=2, horizon=2)
    assert (history.action["type"] >= 0).all()
    with pytest.raises(ValueError, match=r"expected pixels, as BrowserGui\(pixels=True\) has them"):
        rollout(Slides(pixels=False), backend, rows=2, horizon=2)


def test_lora_begins_as_no_change_trains_alone_and_is_saved_and_loaded(folder, samples, tmp_path):
    pytest.importorskip("peft", reason="needs peft: pip install 'ethogram[vlm]'")
    backend = QwenBackend.from_pretrained(folder, max_pixels=6 * 28 * 28, length=3)
    answer = backend.generate(samples, Draws(0, torch.arange(3)))
    before = backend.log_probs_of(samples, answer, drop_at=1)
    backend.add_lora(rank=4, alpha=8)
    assert torch.equal(before, backend.log_probs_of(samples, answer, drop_at=1))
    trained = [name for name, weight in backend.named_parameters() if weight.requires_grad]
    assert len(trained) == 2 * 7 * LAYERS  # two matrices beside each projection of the decoder
    assert all("language_model" in name and "lora" in name for name in trained)
    steps = steps_of_pictures([("go", [picture(0), picture(1)], [TAP, BACK])], memory=1)
    learner = HCPO(backend, steps, 2, prompts=2, group=2, drop_at=1)
    whole = dict(learner.reference.named_parameters())
    assert all((whole[name] is weight) == (name not in trained) for name, weight in backend.named_parameters())
    train(learner, 2, rate=1e-2, progress=False)
    after = backend.log_probs_of(samples, answer, drop_at=1)
    assert not torch.equal(before, after)
    backend.save_pretrained(tmp_path)
    other = QwenBackend.from_pretrained(folder, max_pixels=6 * 28 * 28, length=3)
    assert torch.equal(before, other.log_probs_of(samples, answer, drop_at=1))
    other.load_lora(tmp_path)
    assert torch.equal(after, other.log_probs_of(samples, answer, drop_at=1))
    assert not list(tmp_path.glob("model*.safetensors"))


def test_it_acts_on_a_page_in_a_browser(backend, tmp_path):
    try:
        find_browser()
    except BrowserError as error:
        pytest.skip(str(error))
    (tmp_path / "page.html").write_text("<title>press</title><button>here</button>")
    world = BrowserGui(html_page(tmp_path / "page.html", 60, 90), pixels=True, elements=4)
    history = rollout(world, backend, rows=1, horizon=2)
    world.close()
    assert history.observation["pixels"].shape == (1, 3, 90, 60, 3)
