"""Pointer: what is written next may be copied from what was read."""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, pad

from ethogram.simulator import checked_int


class Pointer(nn.Module):
    """A pointer-generator (See, Liu & Manning, "Get To The Point", ACL 2017) over symbols of a prompt.

        P(symbol) = (1 - c) P(write it) + c * sum of the chances to point at a place where it stands

    c, the chance to copy, and where to point depend on the output. Symbols can be copied that were never written in
    training. A token may be several symbols at once, in slots: one points at a token and at a slot. Slot s of the first
    ``spans`` may be of s + 1 tokens that begin there: where to point depends on what comes after them, too.
    """

    def __init__(self, width: int, slots: int, spans: int = 0) -> None:
        super().__init__()
        width, slots = checked_int("width", width, 1), checked_int("slots", slots, 1)
        self.spans = checked_int("spans", spans, 0, slots)
        self.query, self.after = nn.Linear(width, width), nn.Linear(width, width)
        self.slot = nn.Parameter(torch.zeros(slots, width))
        self.copies = nn.Linear(width, 1)

    def forward(self, out: Tensor, scores: Tensor, read: Tensor, symbol: Tensor) -> Tensor:
        """(m * group, r, V) log-chances of symbols.

        out: (m * group, r, width), outputs to write from. scores: (m * group, r, V), logits of what is written freely.
        read: (m, t, width), outputs at the tokens of prompts. symbol: (m, t, up to slots) int64, 0 for none; each
        prompt has one symbol at least.
        """
        m, t, slots = symbol.shape
        sought = out.reshape(m, -1, out.shape[-1]) / out.shape[-1] ** 0.5
        query, after = self.query(sought), self.after(sought)  # (m, group * r, width)
        at, then = query @ read.transpose(1, 2), after @ read.transpose(1, 2)  # (m, group * r, t)
        later = [pad(then[..., s + 1 :], (0, min(s + 1, t))) for s in range(min(self.spans, slots))]
        later += [torch.zeros_like(then)] * (slots - len(later))
        score = at[..., None] + (query @ self.slot[:slots].T)[:, :, None] + torch.stack(later, -1)
        score = score.masked_fill(symbol[:, None] == 0, -torch.inf).flatten(2)
        place = symbol.view(m, 1, t * slots).expand_as(score)
        pointed = torch.zeros(m, query.shape[1], scores.shape[-1]).scatter_add(2, place, score.softmax(-1))
        tiny = torch.finfo(pointed.dtype).tiny
        copied = pointed.view_as(scores).clamp(min=tiny).log()
        copies = self.copies(out)
        return torch.logaddexp(scores.log_softmax(-1) + logsigmoid(-copies), copied + logsigmoid(copies))
