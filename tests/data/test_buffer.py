"""ImageBuffer: the history of fakes, exactly as the authors' image pool keeps it."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cyclegan.data.buffer import ImageBuffer


def images(*values: float) -> Tensor:
    """One flat image for each value, so that images can be told apart."""
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2).contiguous()


def values(batch: Tensor) -> list[int]:
    return [int(image.flatten()[0]) for image in batch]


def full(size: int) -> ImageBuffer:
    buffer = ImageBuffer(size)
    buffer(images(*range(size)))
    return buffer


def test_the_first_fifty_are_stored_and_returned_as_given():
    buffer = ImageBuffer(50)
    for value in range(50):
        assert values(buffer(images(value))) == [value]
    assert values(buffer.images) == list(range(50))


def test_afterwards_one_half_is_returned_as_given_and_leaves_the_buffer_alone():
    torch.manual_seed(0)
    buffer, as_given = full(50), 0
    for value in range(50, 2050):
        before = values(buffer.images)
        if values(buffer(images(value))) == [value]:
            as_given += 1
            assert values(buffer.images) == before
    assert 0.46 < as_given / 2000 < 0.54


def test_the_other_half_swaps_places_with_the_stored_image_that_is_returned():
    torch.manual_seed(0)
    buffer, slots = full(5), Counter()
    for value in range(5, 2005):
        before = values(buffer.images)
        (returned,) = values(buffer(images(value)))
        if returned != value:
            slot = before.index(returned)
            before[slot] = value
            assert values(buffer.images) == before
            slots[slot] += 1
    assert set(slots) == set(range(5))
    assert all(0.15 < count / slots.total() < 0.25 for count in slots.values())


@settings(deadline=None, max_examples=60)
@given(
    size=st.integers(0, 5),
    batches=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    seed=st.integers(0, 1000),
)
def test_no_image_is_invented_lost_or_returned_twice(size, batches, seed):
    torch.manual_seed(seed)
    buffer, given_so_far, returned_so_far = ImageBuffer(size), 0, Counter()
    for count in batches:
        batch = images(*range(given_so_far, given_so_far + count))
        given_so_far += count
        returned = values(buffer(batch))
        assert len(returned) == count
        assert set(returned) <= set(range(given_so_far))
        returned_so_far.update(returned)
    stored = values(buffer.images)
    assert len(stored) == len(set(stored)) == min(size, given_so_far)
    # Each was returned when it came, unless it took a place; the first ones were also stored, for one more return.
    first = set(range(min(size, given_so_far)))
    still_to_return = Counter(range(given_so_far)) + Counter(first) - returned_so_far
    assert still_to_return == Counter(stored)


@pytest.mark.parametrize("seed", range(3))
def test_images_of_a_batch_are_handled_one_by_one(seed):
    batched, single = full(3), full(3)
    torch.manual_seed(seed)
    returned = values(batched(images(*range(3, 23))))
    torch.manual_seed(seed)
    assert returned == [values(single(images(value)))[0] for value in range(3, 23)]
    assert values(batched.images) == values(single.images)
    assert any(value == place for place, value in enumerate(returned, start=3))
    assert any(value != place for place, value in enumerate(returned, start=3))


def test_a_batch_may_fill_the_buffer_halfway():
    torch.manual_seed(0)
    buffer = ImageBuffer(3)
    assert values(buffer(images(0, 1, 2, 3, 4)))[:3] == [0, 1, 2]
    assert len(buffer.images) == 3


@pytest.mark.parametrize("size", [0, 2])
def test_what_is_returned_carries_no_gradient(size):
    buffer = ImageBuffer(size)
    for _ in range(5):
        fake = torch.rand(2, 3, 2, 2, requires_grad=True) * 2
        assert not buffer(fake).requires_grad
    assert not buffer.images.requires_grad


def test_stored_images_do_not_change_with_the_tensor_that_was_given_nor_with_later_swaps():
    torch.manual_seed(0)
    buffer, fake = ImageBuffer(1), images(7)
    buffer(fake)
    fake.zero_()
    assert values(buffer.images) == [7]
    returned = next(past for past in (buffer(images(8)) for _ in range(100)) if values(past) == [7])
    buffer.images.zero_()
    assert values(returned) == [7]


def test_size_zero_returns_what_it_is_given_and_stores_nothing():
    buffer = ImageBuffer(0)
    for value in range(10):
        assert values(buffer(images(value, -value))) == [value, -value]
    assert len(buffer.images) == 0


@pytest.mark.parametrize("seen", [0, 2, 4, 9])
def test_a_restored_buffer_holds_the_same_and_draws_the_same(seen):
    torch.manual_seed(0)
    first, second = (nn.ModuleDict({"past": ImageBuffer(4)}) for _ in range(2))
    for value in range(seen):
        first["past"](images(value))
    second["past"](images(77))
    second.load_state_dict(first.state_dict())
    assert torch.equal(second["past"].images, first["past"].images)

    draws = []
    for restored in (first, second):
        torch.manual_seed(1)
        draws.append([values(restored["past"](images(value)))[0] for value in range(100, 130)])
    assert draws[0] == draws[1]


def test_restoring_does_not_tie_two_buffers_together():
    first, second = full(3), ImageBuffer(3)
    second.load_state_dict(first.state_dict())
    first.images.zero_()
    assert values(second.images) == [0, 1, 2]


@pytest.mark.filterwarnings("ignore:.*meta parameter")
def test_a_restored_buffer_stays_on_its_device_and_keeps_the_precision_of_the_images():
    stored = full(3).to(torch.bfloat16).state_dict()
    elsewhere = ImageBuffer(3).to("meta")
    elsewhere.load_state_dict(stored)
    assert elsewhere.images.device.type == "meta"
    assert elsewhere.images.dtype == torch.bfloat16
    assert elsewhere.images.shape == (3, 3, 2, 2)
