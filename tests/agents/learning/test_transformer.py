"""The transformer that forgets: batches equal rows, caches equal whole passes, dropped tokens are not there."""

import pytest
import torch

from ethogram.agents.learning import Transformer, compact, padded_left, repeated

WIDTH, LAYERS = 32, 4


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Transformer(WIDTH, LAYERS, heads=2, hidden=64).double()


def case(lengths, seed=0):
    """Rows of so many tokens, padded on the left; positions count tokens of a row."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randn(t, WIDTH, generator=generator, dtype=torch.float64) for t in lengths]
    tokens, present = padded_left(rows)
    return tokens, (present.cumsum(1) - 1).clamp(min=0), present


def test_a_batch_equals_its_rows(net):
    tokens, positions, present = case([3, 7, 5])
    out, _ = net(tokens, positions, present)
    for row, t in enumerate([3, 7, 5]):
        alone, _ = net(tokens[row : row + 1, -t:], torch.arange(t)[None], torch.ones(1, t, dtype=torch.bool))
        assert torch.allclose(out[row, -t:], alone[0], atol=1e-12)


def test_nothing_later_changes_anything_before(net):
    tokens, positions, present = case([6, 6])
    before, _ = net(tokens, positions, present)
    changed = tokens.clone()
    changed[:, 4:] = changed[:, 4:].flip(1)
    after, _ = net(changed, positions, present)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


@pytest.mark.parametrize("drop_at", [None, 0, 1, 2, 4])
def test_token_by_token_with_a_cache_equals_one_pass(net, drop_at):
    """Also where the prompt loses tokens on the way, so that caches have two lengths; gradients agree too."""
    tokens, positions, present = case([9, 6])
    keep = present.clone()
    keep[0, 2:4] = keep[1, 5] = False
    keep[:, 5:] = True
    weights = torch.randn(2, 4, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    drop = {} if drop_at is None else {"keep": keep, "drop_at": drop_at}
    whole, _ = net(tokens, positions, present, **drop)
    gradient = torch.autograd.grad((whole[:, -4:] * weights).sum(), net.blocks[1].mixed.weight)[0]
    drop = {} if drop_at is None else {"keep": keep[:, :6], "drop_at": drop_at}
    out, cache = net(tokens[:, :6], positions[:, :6], present[:, :6], **drop)
    parts = [out[:, -1:]]
    for t in range(6, 9):
        out, cache = net(tokens[:, t : t + 1], positions[:, t : t + 1], present[:, t : t + 1], cache)
        parts.append(out)
    apart = torch.cat(parts, 1)
    assert torch.allclose(whole[:, -4:], apart, atol=1e-12)
    again = torch.autograd.grad((apart * weights).sum(), net.blocks[1].mixed.weight)[0]
    assert torch.allclose(gradient, again, atol=1e-10)


def test_dropping_at_the_last_layer_or_nothing_changes_nothing(net):
    tokens, positions, present = case([5, 8])
    plain, _ = net(tokens, positions, present)
    keep = present.clone()
    keep[:, 3:5] = False
    assert torch.equal(net(tokens, positions, present, keep=keep, drop_at=LAYERS)[0], plain)
    assert torch.allclose(net(tokens, positions, present, keep=present, drop_at=1)[0][1], plain[1], atol=1e-12)


def test_dropping_at_the_first_layer_is_a_prompt_without_the_tokens_at_their_old_positions(net):
    tokens, positions, present = case([7])
    keep = torch.tensor([[True, False, True, False, True, True, True]])
    dropped, _ = net(tokens, positions, present, keep=keep, drop_at=0)
    without, _ = net(tokens[keep][None], positions[keep][None], present[keep][None])
    assert torch.allclose(dropped, without, atol=1e-12)


def test_a_prompt_serves_a_group_through_its_cache(net):
    tokens, positions, present = case([4, 6])
    _, cache = net(tokens, positions, present)
    more, _, there = case([2] * 6, seed=3)
    at = torch.tensor([4, 6]).repeat_interleave(3)[:, None] + torch.arange(2)
    out, _ = net(more, at, there, repeated(cache, 3))
    for row in range(6):
        whole = torch.cat([tokens[row // 3], more[row]])[None]
        own = torch.cat([positions[row // 3], at[row]])[None]
        alone, _ = net(whole, own, torch.cat([present[row // 3], there[row]])[None])
        assert torch.allclose(out[row], alone[0, -2:], atol=1e-12)


def test_compact_keeps_the_order_and_aligns_at_the_right():
    keep = torch.tensor([[True, False, True, True], [False, False, False, True]])
    (found,) = compact(keep, torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]]))
    assert found.tolist() == [[1, 3, 4], [0, 0, 8]]
    assert compact(torch.zeros(2, 3, dtype=torch.bool), torch.ones(2, 3))[0].shape == (2, 0)


def test_a_width_that_cannot_be_turned_is_refused():
    with pytest.raises(ValueError, match="width is 30"):
        Transformer(30, heads=4)
