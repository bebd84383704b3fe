#!/usr/bin/env bash
# transformers 5.24.0, torch 2.13.0, no torchvision: the folder of a Qwen2.5-VL model that holds a tokeniser and an image
# processor. AutoTokenizer and AutoImageProcessor load both (the latter as its Pillow version), and one can prepare
# pictures with them; AutoProcessor, which the model's page says to use, raises ImportError, because it also builds a
# processor of videos, which needs torchvision, though no video is asked for and the folder has no such processor.
# Seen: "AutoImageProcessor: Qwen2VLImageProcessorPil, 2 tokens; AutoProcessor: ImportError: Qwen2VLVideoProcessor requires
# the Torchvision library but it was not found in your environment."
# Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.24.0 tokenizers==0.23.3 numpy==2.4.6 pillow==13.0.0 torch==2.13.0
HF_HUB_OFFLINE=1 FOLDER=$folder/model "$folder/venv/bin/python" - <<'PYTHON'
import os

from PIL import Image
from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer, Qwen2_5_VLConfig, Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

folder = os.environ["FOLDER"]
Qwen2_5_VLConfig().save_pretrained(folder)
letters = {letter: i for i, letter in enumerate(["<|endoftext|>", "a", "<|image_pad|>", "<|video_pad|>"])}
Qwen2Tokenizer(vocab=letters, merges=[]).save_pretrained(folder)
Qwen2VLImageProcessorPil(min_pixels=28 * 28).save_pretrained(folder)
AutoTokenizer.from_pretrained(folder)
images = AutoImageProcessor.from_pretrained(folder)
grid = images(images=[Image.new("RGB", (28, 56))], return_tensors="pt")["image_grid_thw"]
print(f"AutoImageProcessor: {type(images).__name__}, {int(grid.prod()) // 4} tokens", end="; ")
try:
    AutoProcessor.from_pretrained(folder)
except ImportError as error:
    assert "Torchvision" in str(error), error
    print(f"AutoProcessor: ImportError: {str(error).strip().splitlines()[0]}")
else:
    raise SystemExit("AutoProcessor no longer needs torchvision for a model that is given pictures only")
PYTHON
