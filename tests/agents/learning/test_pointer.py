"""Pointer: copying from what was read."""

import torch

from ethogram.agents.learning import Pointer


def test_chances_sum_to_one_and_copies_go_where_the_symbol_stands():
    torch.manual_seed(0)
    pointer = Pointer(8, slots=3, spans=2)
    symbol = torch.tensor([[[2, 0, 0], [5, 3, 0], [5, 0, 4]]])
    read, out, scores = torch.randn(1, 3, 8), torch.randn(2, 1, 8), torch.randn(2, 1, 9)
    chances = pointer(out, scores, read, symbol).exp()
    torch.testing.assert_close(chances.sum(-1), torch.ones(2, 1))
    with torch.no_grad():
        pointer.copies.weight.zero_()
        pointer.copies.bias.fill_(30)  # always copies
        pointer.query.weight.zero_()
        pointer.query.bias.zero_()
        pointer.after.weight.zero_()
        pointer.after.bias.zero_()  # from anywhere
    copied = pointer(out, scores, read, symbol).exp()
    expected = torch.tensor([0, 0, 1, 1, 1, 2, 0, 0, 0]) / 5
    torch.testing.assert_close(copied, expected.expand(2, 1, 9), atol=1e-6, rtol=0)


def test_a_span_depends_on_what_comes_after_it():
    torch.manual_seed(0)
    pointer = Pointer(4, slots=2, spans=2)
    with torch.no_grad():
        for part in (pointer.query, pointer.after):
            part.weight.zero_()
            part.bias.zero_()
        pointer.after.bias[0] = 40
        pointer.copies.bias.fill_(30)
    read = torch.zeros(1, 4, 4)
    read[0, 2, 0] = 1  # the third token is one before which texts end
    symbol = torch.tensor([[[1, 5], [2, 6], [3, 7], [4, 0]]])
    copied = pointer(torch.zeros(1, 1, 4), torch.zeros(1, 1, 8), read, symbol).exp()[0, 0]
    torch.testing.assert_close(
        copied[[5, 2]], torch.tensor([0.5, 0.5])
    )  # two words from the first, one from the second


def test_a_group_reads_its_prompt_once():
    torch.manual_seed(0)
    pointer = Pointer(8, slots=3, spans=1)
    symbol, read = torch.randint(1, 9, (2, 5, 3)), torch.randn(2, 5, 8)
    out, scores = torch.randn(6, 4, 8), torch.randn(6, 4, 9)
    together = pointer(out, scores, read, symbol)
    for row in range(6):
        prompt = slice(row // 3, row // 3 + 1)
        alone = pointer(out[row : row + 1], scores[row : row + 1], read[prompt], symbol[prompt])
        torch.testing.assert_close(together[row : row + 1], alone)
