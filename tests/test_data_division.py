"""The division behind every real data set: each row on one side, classes in share."""

import numpy as np
import pytest

from jaxnoise.data.rows import divide

N = 100
LABELS = np.repeat(np.arange(4), [60, 25, 12, 3])[
    np.random.default_rng(0).permutation(N)
]
ROWS = np.arange(N)[:, None], LABELS  # a row's number is its value


def at(train_size, validation=0, seed=0, **options):
    """Row numbers by set."""
    sets = divide(ROWS, train_size, validation, seed, **options)
    for x, y in sets.values():
        np.testing.assert_array_equal(y, LABELS[x[:, 0]])
    return {name: x[:, 0].tolist() for name, (x, _) in sets.items()}


@pytest.mark.parametrize("published", [None, 70])
@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("sizes", [(None, 0), (None, 9), (1, 0), (20, 30), (40, 30)])
def test_each_row_is_on_one_side_in_its_order(published, stratify, sizes):
    sets = at(*sizes, published=published, stratify=stratify)
    train_size, validation = sizes
    if train_size is None:
        train_size = (published or 80) - validation
    assert len(sets["train"]) == train_size
    assert len(sets.get("validation", [])) == validation
    assert all(side == sorted(side) for side in sets.values())
    every = [row for side in sets.values() for row in side]
    assert len(set(every)) == len(every)
    if published:
        assert sets["test"] == list(range(published, N))
    else:
        assert sorted(every) == list(range(N))


@pytest.mark.parametrize("published", [None, 70])
def test_one_size_does_not_move_the_other_set(published):
    options = {"published": published, "seed": 5}
    small, large = at(10, 20, **options), at(30, 20, **options)
    assert small["validation"] == large["validation"]
    assert set(small["train"]) < set(large["train"])
    assert at(30, **options)["train"] == large["train"]


def test_every_stretch_has_its_share_of_classes():
    share = np.bincount(LABELS) / N
    for seed in range(20):
        for size in (4, 8, 33, 64):
            sets = at(size, 16, seed)
            got = np.bincount(LABELS[sets["train"]], minlength=4)
            assert got.min() >= 1
            assert (np.abs(got - size * share) <= 2).all()
            held_out = np.bincount(LABELS[sets["validation"]], minlength=4)
            assert (np.abs(held_out - 16 * share) <= 2).all()


def test_rows_are_equally_likely():
    """Of 600 seeds, 30 of 100 rows: each row's share within 5 standard errors."""
    seen = np.zeros(N)
    for seed in range(600):
        seen[at(30, seed=seed, stratify=False)["train"]] += 1
    assert np.abs(seen / 600 - 0.3).max() <= 5 * np.sqrt(0.3 * 0.7 / 600)
    one = [at(30, seed=seed)["train"] for seed in (1, 1, 2)]
    assert one[0] == one[1] != one[2]
