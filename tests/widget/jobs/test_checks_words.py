"""The numbers of the checks in words."""

from __future__ import annotations

import pytest

from attriscope.widget.jobs.checks import _percent, _plain, _share, _signed, _sums


@pytest.mark.parametrize(
    ("value", "words"),
    [(9.05, "9.1"), (9.0, "9.0"), (-0.6234, "−0.62"), (132.4, "132"), (0.0, "0"), (0.013, "0.013"), (2e-7, "2.0e−07")],
)  # fmt: skip
def test_numbers_have_two_digits(value: float, words: str) -> None:
    assert _plain(value) == words


def test_signs_and_shares_are_words() -> None:
    assert (_signed(3.2), _signed(-3.2), _signed(0.0)) == ("+3.2", "−3.2", "0")
    assert [_percent(share) for share in (0, 0.004, 0.014, 1.38)] == [
        "less than 0.1 %",
        "0.4 %",
        "1 %",
        "138 %",
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.01, "next to nothing of"), (0.06, "a tenth of"), (0.33, "a third of"), (0.5, "half of"),
        (0.76, "three quarters of"), (0.82, "four fifths of"), (0.9, "nearly all of"), (0.99, "all of"),
        (1.09, "all of"), (1.1, "more than all of"), (3, "more than all of"),
    ],
)  # fmt: skip
def test_shares_are_the_nearest_that_have_a_name(value: float, words: str) -> None:
    assert _share(value) == words


@pytest.mark.parametrize(
    ("total", "wanted", "words"),
    [
        (1.1497, 1.1543, ("+1.1497", "+1.1543")),
        (1.0, 1.2, ("+1.0", "+1.2")),
        (-3.0, 1.0, ("−3.0", "+1.0")),
        (2.0001, 2.0, ("+2.0", "+2.0")),  # less than 0.1 %
        (0.0, 0.5, ("0", "+0.50")),
        (1.0, 0.0, ("+1.0", "0")),
    ],
)
def test_sums_have_as_many_digits_as_it_takes_to_see_the_difference(
    total: float, wanted: float, words: tuple[str, str]
) -> None:
    assert _sums(total, wanted) == words
    a, b = (float(text.replace("−", "-")) for text in words)
    if wanted:
        assert _percent(abs(a - b) / abs(b)) == _percent(abs(total - wanted) / abs(wanted))
