#!/usr/bin/env bash
# transformers 5.24.0 with peft 0.21.2, the newest that the package index has: the model's own methods for LoRA adapters
# (add_adapter, load_adapter, from_pretrained on an adapter's folder) ask for peft 0.22.0 and raise ValueError, whereas
# peft's inject_adapter_in_model, which they would call, puts the same adapters into the same model.
# Seen: "add_adapter: ValueError: The version of PEFT you are using is not compatible, please use a version >= 0.22.0;
# inject_adapter_in_model: 4 matrices to train".
# Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.24.0 peft==0.21.2 accelerate==1.15.0 torch==2.13.0
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
from peft import LoraConfig, inject_adapter_in_model
from transformers import Qwen2Config, Qwen2ForCausalLM

sizes = {"hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}
model = Qwen2ForCausalLM(Qwen2Config(vocab_size=16, num_hidden_layers=1, **sizes))
config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"])
try:
    model.add_adapter(config)
except ValueError as error:
    assert "0.22.0" in str(error), error
    print(f"add_adapter: ValueError: {error}", end="; ")
else:
    raise SystemExit("add_adapter no longer refuses peft 0.21.2")
inject_adapter_in_model(config, model)
count = sum(weight.requires_grad for weight in model.parameters())
assert count == 4, count
print(f"inject_adapter_in_model: {count} matrices to train")
PYTHON
