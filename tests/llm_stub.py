"""A server on loopback that speaks chat completions, obeys what it is told to obey, and injects faults."""

import asyncio
import hashlib
import json
import math
import threading
from collections import Counter

FAULTS = ("hang", "drop", "429", "500", "truncated", "wrong", "empty", "huge")
SETTINGS = {"temperature", "top_k", "top_p", "min_p"}
EVERYTHING = {*SETTINGS, "seed", "n", "max_tokens", "response_format", "grammar", "logprobs"}


class Stub:
    """``with Stub() as stub``: asked at ``stub.base_url``, it remembers the bodies that it ``asked`` was.

    faults: a function of the body and its number, from 0, to the name of a fault, or None.
    retry_after: the header of its 429. obeys: parameters with an effect; refuses: those that are a 400. Others are
    ignored in silence. reported: "raw" or "drawn". models: what /models says.
    """

    def __init__(
        self,
        faults=lambda body, number: None,
        *,
        retry_after="0.01",
        obeys=EVERYTHING,
        refuses=frozenset(),
        reported="raw",
        models=None,
        delay=0.0,
        port=0,
    ):
        self.faults, self.retry_after, self.delay = faults, retry_after, delay
        self.obeys, self.refuses, self.reported, self.port = set(obeys), set(refuses), reported, port
        self.models = models or {"data": [{"id": "m", "meta": {"n_params": 7, "n_ctx": 2048}}]}
        self.asked, self.keys, self.paths = [], [], Counter()
        self.injected = []  # the fault of each body asked, None for none

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        started = threading.Event()

        async def start():
            self.server = await asyncio.start_server(self._talk, "127.0.0.1", self.port, limit=2**24)
            started.set()

        self.loop.create_task(start())
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        started.wait()
        self.base_url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/v1"
        return self

    def __exit__(self, *error):
        async def stop():
            self.server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def _talk(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = (line.partition(": ") for line in head.split("\r\n")[1:] if line)
                fields = {name.lower(): value for name, _, value in lines}
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                await self._answer(head.split(" ")[1], fields, body, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, path, fields, body, writer):
        self.paths[path] += 1
        if path.endswith("/models"):
            return _write(writer, json.dumps(self.models))
        number, body = len(self.asked), json.loads(body)
        self.asked.append(body)
        self.keys.append(fields.get("authorization", ""))
        self.injected.append("refused")
        if refused := self.refuses & body.keys():
            return _write(writer, json.dumps({"error": {"message": f"no {refused}: {body['messages']}"}}), 400)
        if self.delay:
            await asyncio.sleep(self.delay)
        fault = self.faults(body, number)
        self.injected[number] = fault
        text = json.dumps(self.completion(body, number))
        if fault == "hang":
            await asyncio.sleep(3600)
        elif fault == "drop":
            _write(writer, text, cut=len(text) // 2)
            await writer.drain()
            raise ConnectionError
        elif fault == "429":
            _write(writer, json.dumps({"error": {"message": "slowly"}}), 429, {"Retry-After": self.retry_after})
        elif fault in ("400", "401", "404", "500"):
            _write(writer, json.dumps({"error": {"message": f"about {body['messages']}"}}), int(fault))
        elif fault == "truncated":
            _write(writer, text[: len(text) // 2])
        elif fault == "wrong":
            _write(writer, json.dumps({"object": "list", "data": []}))
        elif fault in ("empty", "huge"):
            found = self.completion({**body, "logprobs": False}, number)
            found["choices"][0]["message"]["content"] = "" if fault == "empty" else "x" * 10_000_000
            _write(writer, json.dumps(found))
        else:
            _write(writer, text)

    def completion(self, body, number):
        """A word that hangs on the prompt and, where it is obeyed, the seed; usage as one choice has it."""
        said = {name: value for name, value in body.items() if name in self.obeys}
        cold = said.get("temperature") == 0 or said.get("top_k") == 1 or said.get("top_p", 1) < 0.01
        cold = cold or said.get("min_p") == 1
        luck = "cold" if cold else said["seed"] if said.get("seed") is not None else number
        text = hashlib.sha256(json.dumps([body["messages"], luck]).encode()).hexdigest()[:8]
        if "response_format" in said:
            text = '{"word": "quokka"}'
        if "grammar" in said or ("structured_outputs" in said):
            text = "quokka"
        most = said.get("max_tokens", said.get("max_completion_tokens", 1000))
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        if said.get("logprobs"):
            cooler = said.get("temperature", 1) or 1 if self.reported == "drawn" else 1
            top = [
                {"token": token, "logprob": math.log(p) / cooler}
                for token, p in zip(
                    "ABCDEFGHIJ", (0.5, 0.2, 0.1, 0.05, 0.05, 0.04, 0.03, 0.01, 0.01, 0.01), strict=True
                )
            ][: body.get("top_logprobs", 0)]
            choice["logprobs"] = {"content": [{"token": text, "logprob": -0.7, "top_logprobs": top}]}
        return {
            "object": "chat.completion",
            "model": "m",
            "system_fingerprint": "stub",
            "choices": [choice] * said.get("n", 1),
            "usage": {"prompt_tokens": 20, "completion_tokens": min(6, most)},
        }


def _write(writer, text, status=200, headers=None, cut=None):
    data = text.encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
    head = f"HTTP/1.1 {status} .\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    writer.write(head.encode() + data[:cut])
