"""Batches from bytes against a reference that takes one image at a time: padding, slicing, reversing."""

from collections import Counter

import numpy as np
import pytest
import torch

from stages.torch_net.images import Augmentation, Normalisation

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = (7, 6, 3)  # height, width, channels: unlike each other, so that no axis is taken for another


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def noise(count=4, shape=SHAPE, seed=0):
    return torch.randint(256, (count, *shape), generator=seeded(seed), dtype=torch.uint8)


def views(image, shift, flip):
    """Every view (shift down, shift right, flipped) of an image (height, width, channels), by its bytes."""
    height, width, _ = image.shape
    padded = np.pad(image, [(shift, shift), (shift, shift), (0, 0)], mode="reflect")
    found = {}
    for top in range(2 * shift + 1):
        for left in range(2 * shift + 1):
            crop = padded[top : top + height, left : left + width]
            found[crop.tobytes()] = (top, left, False)
            if flip:
                found[crop[:, ::-1].tobytes()] = (top, left, True)
    assert len(found) == (2 * shift + 1) ** 2 * (1 + flip)  # noise: no two views look alike
    return found


def test_normalisation_is_its_formula():
    mean, std = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0.2, 0.3, 0.7])
    images = torch.arange(256, dtype=torch.uint8).repeat_interleave(3).reshape(1, 16, 16, 3)
    result = Normalisation(mean, std)(images)
    assert result.dtype == torch.float32
    expected = (images.numpy() / 255 - mean.numpy().astype(float)) / std.numpy().astype(float)
    np.testing.assert_allclose(result.numpy(), expected, atol=2e-6)
    assert images.dtype == torch.uint8


def test_normalisation_to_the_unit_interval():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1, 1)
    result = Normalisation(torch.zeros(1), torch.ones(1))(images).flatten()
    np.testing.assert_allclose(result, [0, 0.2, 1], rtol=1e-6)


@pytest.mark.parametrize("shift", [0, 1, 2, 4])
def test_padding_reflects(shift):
    images = noise()
    padded = Augmentation(shift, True, 0, seeded(0)).pad(images)
    expected = np.pad(images.numpy(), [(0, 0), (shift, shift), (shift, shift), (0, 0)], mode="reflect")
    assert padded.dtype == torch.uint8
    np.testing.assert_array_equal(padded.numpy(), expected)


@pytest.mark.parametrize(("shift", "flip"), [(0, True), (1, False), (1, True), (2, True)])
def test_every_view_comes_about_as_often_as_any_other(shift, flip):
    images = noise()
    known = [views(image, shift, flip) for image in images.numpy()]
    augment = Augmentation(shift, flip, 0, seeded(1))
    chosen = torch.arange(400) % 4
    counts, batches = Counter(), 10
    for _ in range(batches):
        batch = augment.crop(augment.pad(images), chosen)
        assert batch.shape == (400, *SHAPE)
        assert batch.dtype == torch.uint8
        # A view of another image, or pixels from two, would be missing here.
        seen = [known[number][view.tobytes()] for number, view in zip(chosen.tolist(), batch.numpy(), strict=True)]
        counts.update(seen)
        if flip:
            assert 0.4 < sum(flipped for *_, flipped in seen) / len(seen) < 0.6
    kinds = (2 * shift + 1) ** 2 * (1 + flip)
    expected = batches * 400 / kinds
    assert len(counts) == kinds
    assert max(abs(number - expected) for number in counts.values()) < 5 * expected**0.5


def test_the_plain_path_is_indexing_and_draws_nothing():
    images, chosen, generator = noise(), torch.tensor([2, 0, 0, 3]), seeded(1)
    before = generator.get_state()
    augment = Augmentation(0, False, 0, generator)
    assert augment.pad(images) is images
    batch = augment.crop(images, chosen)
    np.testing.assert_array_equal(batch.numpy(), images.numpy()[[2, 0, 0, 3]])
    assert augment.blank(batch) is batch
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("size", [1, 3, 4])
def test_cutout_blanks_a_square_and_nothing_else(size):
    """All of the square where its centre is far from the borders, what is left of it where not."""
    height, width = 10, 8
    images = 1 + torch.rand(2000, height, width, 3, generator=seeded(2))  # no pixel is 0
    result = Augmentation(0, False, size, seeded(3)).blank(images).numpy()
    blank = result == 0
    assert (blank.all(axis=3) == blank.any(axis=3)).all()
    np.testing.assert_array_equal(result[~blank], images.numpy()[~blank])
    blank = blank[..., 0]  # (n, height, width)
    for axis, length in ((2, height), (1, width)):
        inside = blank.any(axis=axis)  # (n, length)
        spans = Counter((line.argmax(), line.argmax() + line.sum()) for line in inside)
        starts = [centre - size // 2 for centre in range(length)]
        expected = Counter((max(start, 0), min(start + size, length)) for start in starts)
        assert spans.keys() == expected.keys()
        for span, number in spans.items():
            often = expected[span] * len(images) / length
            assert abs(number - often) < 5 * often**0.5
    sides = blank.any(axis=2).sum(axis=1) * blank.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(blank.sum(axis=(1, 2)), sides)  # a rectangle without holes
    assert sides.max() == size**2
    assert (sides == size**2).sum() > len(images) / 3


def test_the_same_generator_gives_the_same_batches_and_no_other_matters():
    images, chosen = noise(50), torch.arange(50)

    def batches(seed, other):
        torch.manual_seed(other)
        augment = Augmentation(2, True, 2, seeded(seed))
        return torch.stack([augment.blank(augment.crop(augment.pad(images), chosen) + 1.0) for _ in range(2)])

    first = batches(1, 10)
    assert torch.equal(first, batches(1, 20))
    assert not torch.equal(first, batches(2, 10))
    assert not torch.equal(first[0], first[1])
