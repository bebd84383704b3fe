"""QwenBackend: models of the Qwen2.5-VL family behind the interface that ``HCPO`` asks of a policy."""

import copy
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from ethogram.envs.gui.actions import GuiActions
from ethogram.simulator import Draws, History, check_has, check_number, checked_int

from ..gui_learning import Mode, Prompts
from ..learning import padded_left
from .decoder import Past, read_on, read_prompt
from .grading import action_of, graded
from .layout import IMAGE, OVER, Encoded, codec, past_screens, prompt
from .samples import Pictures, Sample, Samples, samples_of

KIND = "qwen2_5_vl"
MOST_PIXELS = 512 * 28 * 28  # of a picture, which is then 512 tokens at most, as in HiconAgent
ADAPTED = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"  # what LoRA adapts
ADAPTERS = "adapter_model.safetensors"
INSTALL = "pip install 'ethogram[vlm]'"


class QwenBackend(nn.Module):
    """A Qwen2.5-VL model that reads ``Samples`` and writes answers: a ``Backend``.

    model: transformers' Qwen2_5_VLForConditionalGeneration. tokenizer, image_processor: of the same model.
    memory: how many steps it looks back. length: tokens of an answer at most.

    It acts in worlds whose observations have "pixels" and whose actions are ``GuiActions``, such as
    ``BrowserGui(pixels=True)``; and in ``Replay`` with ``pictures``, which gives a PIL image by the numbers of an
    episode and a step. Answers are drawn at ``temperature``, the likeliest token each time at 0, with past screens
    dropped at the input of layer ``drop_at``. An answer that cannot be read does nothing.

    A copy shares the weights that are not trained: with LoRA, a reference costs little memory.

    Answers are (m, R) int64 token ids plus 1, with zeros behind their end, on the CPU, as log-probabilities are. Past
    screens (their label, vision tokens and newline) are what is dropped at the input of layer ``drop_at``.

    Raises ValueError for a model of another kind.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        image_processor: Any,
        *,
        memory: int = 2,
        length: int = 300,
        temperature: float = 0.0,
        drop_at: int | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        super().__init__()
        check_number("temperature", temperature)
        config: Any = getattr(model, "config", None)
        kind = getattr(config, "model_type", type(model).__name__)
        if kind != KIND or not hasattr(model, "lm_head"):
            raise ValueError(f"model is a {kind!r}: expected {KIND!r}, a Qwen2_5_VLForConditionalGeneration")
        check_has("tokenizer", tokenizer, "the model's tokenizer", "convert_tokens_to_ids", "decode")
        check_has("image_processor", image_processor, "the model's image processor", "merge_size", "patch_size")
        if set(config.text_config.layer_types) != {"full_attention"}:
            raise ValueError("model has layers with sliding windows: expected full attention in each")
        attention = config.text_config._attn_implementation
        if attention not in ("sdpa", "eager"):
            raise ValueError(
                f"model has the attention {attention!r}: expected 'sdpa' or 'eager', which take a mask for each layer; "
                "load it with attn_implementation='sdpa'"
            )
        self.model = model
        self.tokenizer, self.image_processor = tokenizer, image_processor
        self.memory, self.length = checked_int("memory", memory, 0), checked_int("length", length, 1)
        self.temperature, self.pictures = temperature, pictures
        self.drop_at = None if drop_at is None else checked_int("drop_at", drop_at, 0, self.layers)
        self.image, over = (int(tokenizer.convert_tokens_to_ids(text)) for text in (IMAGE, OVER))
        ends = self.model.generation_config.eos_token_id  # an int, a list or None
        self.ends = sorted({over, *(ends if isinstance(ends, list) else [ends])} - {None})  # what ends an answer

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        memory: int = 2,
        length: int = 300,
        max_pixels: int = MOST_PIXELS,
        dtype: Any = "auto",
        device: Any = "cpu",
        local_files_only: bool = True,
    ) -> Self:
        """A backend of published weights, such as "Qwen/Qwen2.5-VL-3B-Instruct", or of a folder of such files.

        max_pixels: of a picture as the model sees it. dtype: of the weights, the file's own by default.
        local_files_only: nothing is downloaded unless this is False.

        Raises ModuleNotFoundError without transformers, FileNotFoundError where there are no such files, and
        ValueError for a model of another kind.
        """
        try:
            import transformers
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(f"QwenBackend needs transformers: {INSTALL}") from error
        here: dict[str, Any] = {"local_files_only": local_files_only}
        try:
            config = transformers.AutoConfig.from_pretrained(source, **here)
        except OSError as error:
            raise FileNotFoundError(
                f"source is {str(source)!r}, of which there is no model on this machine: expected a folder, or a name "
                "whose files were downloaded; local_files_only=False downloads them"
            ) from error
        if config.model_type != KIND:
            raise ValueError(f"source {str(source)!r} holds a {config.model_type!r}: expected a {KIND!r}")
        kind = transformers.Qwen2_5_VLForConditionalGeneration
        model = kind.from_pretrained(source, dtype=dtype, attn_implementation="sdpa", **here).to(device)
        # not by AutoProcessor, which also builds a processor of videos, and that needs torchvision
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **here)
        images = transformers.AutoImageProcessor.from_pretrained(source, **here)
        images.size = {"shortest_edge": min(images.size["shortest_edge"], max_pixels), "longest_edge": max_pixels}
        return cls(model, tokenizer, images, memory=memory, length=length)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the weights (safetensors), the tokeniser and the image processor, as ``from_pretrained`` reads them.

        With LoRA, the adapters take the place of the weights; ``load_lora`` reads them.
        """
        adapted = getattr(self.model, "peft_config", None)
        for part in (*(() if adapted else (self.model,)), self.tokenizer, self.image_processor):
            part.save_pretrained(folder)
        if adapted:
            from safetensors.torch import save_file

            save_file(_peft().get_peft_model_state_dict(self.model), Path(folder) / ADAPTERS)
            adapted["default"].save_pretrained(str(folder))

    @property
    def layers(self) -> int:
        """Layers of the decoder."""
        return len(self.model.model.language_model.layers)

    def __deepcopy__(self, memo: dict[int, Any]) -> "QwenBackend":
        """A copy that shares what is not trained."""
        memo |= {id(weight): weight for weight in self.parameters() if not weight.requires_grad}
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def add_lora(self, rank: int = 64, alpha: float = 128.0) -> None:
        """Freeze the model and put low-rank adapters beside its decoder's projections, HAR's by default, to be trained.

        They begin as no change. Vision tower, embeddings and the head are not adapted. Raises ModuleNotFoundError
        without peft.
        """
        checked_int("rank", rank, 1)
        check_number("alpha", alpha)
        _peft().inject_adapter_in_model(self._adapters(rank, alpha), self.model)

    def load_lora(self, folder: str | Path) -> None:
        """Take the adapters of a folder that ``save_pretrained`` wrote, on the model that they were trained beside."""
        from safetensors.torch import load_file

        peft = _peft()
        config = peft.PeftConfig.from_pretrained(str(folder))
        self.add_lora(config.r, config.lora_alpha)
        wrong = peft.set_peft_model_state_dict(self.model, load_file(Path(folder) / ADAPTERS)).unexpected_keys
        if wrong:
            raise ValueError(f"{folder} has adapters of {wrong[0]!r}: expected those of this model's layers")

    def _adapters(self, rank: int, alpha: float) -> Any:
        return _peft().LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=ADAPTED)

    def act(self, observation: dict[str, Any], history: History, draws: Draws) -> dict[str, Any]:
        """An action a row, a dict as ``GuiActions`` has it."""
        samples = samples_of(history, observation, self.memory, self.pictures)
        answer = self.generate(samples, draws, temperature=self.temperature, drop_at=self.drop_at)
        did = [
            action_of(text, codec(self._sizes(self._prepared(sample.screens[-1])[1])[0]))
            for text, sample in zip(self.texts(answer), samples.samples, strict=True)
        ]
        return GuiActions.of(did)._asdict()

    def fitted(self, screen: Any) -> Any:
        """A PIL image resized as the model sees it: to be read again and again with the same result in less time."""
        return screen.convert("RGB").resize(self._sizes(self._prepared(screen)[1])[0], self.image_processor.resample)

    def encode(self, sample: Sample, prepared: dict[int, tuple[Tensor, Tensor]] | None = None) -> Encoded:
        """A sample as text and pictures that the model takes, with the spans of its past screens.

        prepared: pictures by id that need not be prepared again, to which this sample's are added.
        """
        prepared = {} if prepared is None else prepared
        for screen in sample.screens:
            if id(screen) not in prepared:
                prepared[id(screen)] = self._prepared(screen)
        pixels, grid = (torch.cat(part) for part in zip(*(prepared[id(s)] for s in sample.screens), strict=True))
        tokens = (grid.prod(1) // self.image_processor.merge_size**2).tolist()
        ids = self.tokenizer(prompt(sample, self._sizes(grid), tokens))["input_ids"]
        if ids.count(self.image) != sum(tokens):
            raise ValueError(
                f"goal or an action has the text {IMAGE!r}: expected it in none, as it stands for a picture"
            )
        history = past_screens(ids, self.image, self.tokenizer.decode)
        return Encoded(torch.tensor(ids), torch.tensor(history), pixels, grid)

    def _prepared(self, screen: Any) -> tuple[Tensor, Tensor]:
        """A picture as (patches, values) float32, and (1, 3) int64 how many there are: times, rows, columns."""
        found = self.image_processor(images=[screen.convert("RGB")], return_tensors="pt")
        return found["pixel_values"], found["image_grid_thw"]

    def _sizes(self, grid: Tensor) -> list[tuple[int, int]]:
        """(width, height) pixels of each picture as the model sees it."""
        patch = self.image_processor.patch_size
        return [(columns * patch, rows * patch) for _, rows, columns in grid.tolist()]

    def read(self, prompts: Prompts | Samples, drop_at: int | None) -> tuple[Tensor, Past, Tensor]:
        """(m, width) what the decoder makes of the last token, the past, and (m, 1) the next position, of prompts."""
        if self.model.is_activation_checkpointing:
            raise ValueError(
                "model has activation checkpointing, which gives no caches: expected gradient_checkpointing_disable()"
            )
        if drop_at is not None:
            checked_int("drop_at", drop_at, 0, self.layers)
        prepared: dict[int, tuple[Tensor, Tensor]] = {}  # rows of a group share their pictures
        encoded = [self.encode(sample, prepared) for sample in cast(Samples, prompts).samples]
        device, inner = self.model.device, self.model.model
        ids, present = (part.to(device) for part in padded_left([one.ids for one in encoded]))
        history = padded_left([one.history for one in encoded])[0].to(device)
        pixels, grid = (torch.cat(part).to(device) for part in zip(*(one[2:] for one in encoded), strict=True))
        image = (ids == self.image) & present
        tokens = self.model.get_input_embeddings()(ids)
        pictures = torch.cat(inner.get_image_features(pixels, grid).pooler_output).to(tokens.dtype)
        tokens = tokens.masked_scatter(image[..., None], pictures)
        positions, delta = inner.get_rope_index(ids, image.int(), image_grid_thw=grid, attention_mask=present.long())
        out, past = read_prompt(inner.language_model, tokens, positions, present, ~history, drop_at)
        return out, past, present.sum(1, keepdim=True) + delta

    def logits(self, out: Tensor) -> Tensor:
        """(…, vocabulary) from outputs of the decoder, in float32 at least."""
        scores: Tensor = self.model.lm_head(out)
        return scores.to(torch.promote_types(scores.dtype, torch.float32))

    @torch.no_grad()
    def generate(
        self,
        prompts: Prompts | Samples,
        draws: Draws,
        *,
        group: int = 1,
        temperature: float = 1.0,
        drop_at: int | None = None,
        length: int | None = None,
    ) -> Tensor:
        """(m * group, length) answers, side by side for a prompt, with zeros behind their end.

        draws: of m * group rows. A prompt is read once for its group. temperature: 0 writes the likeliest token.
        length: tokens at most, the backend's by default.
        """
        last, past, position = self.read(prompts, drop_at)
        last, past, position = (
            last.repeat_interleave(group, 0),
            past.repeated(group),
            position.repeat_interleave(group, 0),
        )
        length = self.length if length is None else checked_int("length", length, 1)
        answer = torch.zeros(len(last), length, dtype=torch.int64)
        going = torch.ones(len(last), dtype=torch.bool)
        for k in range(length):
            scores = self.logits(last).cpu()
            if temperature:
                token = draws.categorical(f"symbol {k}", (scores / temperature).softmax(-1))
            else:
                token = scores.argmax(-1)
            answer[:, k] = torch.where(going, token + 1, 0)
            going = going & ~torch.isin(token, torch.tensor(self.ends))
            if k == length - 1 or not bool(going.any()):
                break
            tokens = self._embedded(answer[:, k : k + 1])
            here = going[:, None].to(tokens.device)
            out, past = read_on(self.model.model.language_model, tokens, position + k, here, past)
            last = out[:, -1]
        return answer

    def log_probs_of(self, prompts: Prompts | Samples, answer: Tensor, *, drop_at: int | None = None) -> Tensor:
        """(m * group, R) log-probability of each token of answers, 0 behind their end, with a gradient.

        A prompt is read once for its group, with its gradient.
        """
        last, past, position = self.read(prompts, drop_at)
        group = len(answer) // len(last)
        before = answer[:, :-1].to(last.device)
        position = position.repeat_interleave(group, 0) + torch.arange(before.shape[1], device=last.device)
        past = past.repeated(group)
        out, _ = read_on(self.model.model.language_model, self._embedded(before), position, before > 0, past)
        out = torch.cat([last.repeat_interleave(group, 0)[:, None], out], 1)
        chosen = self.logits(out).log_softmax(-1).gather(2, (answer - 1).clamp(min=0).to(out.device)[..., None])
        return torch.where(answer > 0, chosen[..., 0].cpu(), 0)

    def log_probs(self, record: Any) -> Tensor:
        """The same of a record of ``GRPO``, (prompts, answers), nothing dropped."""
        return self.log_probs_of(*record)

    def _embedded(self, answer: Tensor) -> Tensor:
        """(n, t, width) tokens of answers."""
        table = self.model.get_input_embeddings()
        embedded: Tensor = table((answer - 1).clamp(min=0).to(table.weight.device))
        return embedded

    def texts(self, answer: Tensor) -> list[str]:
        """Answers as text, without the token that ends them."""
        rows = [[token - 1 for token in row if token > 0] for row in answer.tolist()]
        return [self.tokenizer.decode([token for token in row if token not in self.ends]) for row in rows]

    def graded(
        self, prompts: Prompts | Samples, answer: Tensor, truth: dict[str, Tensor], mode: Mode = "paper"
    ) -> tuple[Tensor, Tensor]:
        """Rewards (m * group,) float32 of answers, and (m * group,) bool which are right, by ``did`` of each sample."""
        samples = cast(Samples, prompts).samples
        group = len(answer) // len(samples)
        texts, found = self.texts(answer), []
        for row, sample in enumerate(samples):
            if sample.did is None:
                raise ValueError("a sample has no did: expected the action that is right, to grade answers by")
            calls = codec(self._sizes(self._prepared(sample.screens[-1])[1])[0])
            found += [graded(text, sample.did, calls) for text in texts[row * group : (row + 1) * group]]
        rewards = torch.tensor([reward for reward, _ in found]) / (2 if mode == "code" else 1)
        return rewards, torch.tensor([right for _, right in found])


def _peft() -> Any:
    try:
        import peft
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"LoRA needs peft: {INSTALL}") from error
    return peft
