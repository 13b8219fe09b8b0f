from __future__ import annotations

import pytest

from ritz.compute.evaluation.quantities.catalogue import SHIPPED
from ritz.compute.evaluation.quantities.fields import MeanValue
from ritz.compute.evaluation.quantities.reading import quantity
from tests.compute.evaluation.quantities.test_quantities import QUANTITIES


def test_a_quantity_is_read_from_its_name() -> None:
    assert {type(one) for one in QUANTITIES} == set(SHIPPED)
    for one in (*QUANTITIES, MeanValue(of="u", time=0.25)):
        assert quantity(one.name) == one


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("median:u", "kind is 'median', expected one of at, flux, integral, max, mean, norm"),
        ("mean", "expected mean:OF"),
        ("mean:u:0.5", "expected mean:OF"),
        ("at:u", "point: Field required"),
        ("at:u:0.5,far", "point.1: Input should be a valid number"),
        ("mean:u@late", "time: Input should be a valid number"),
        ("mean:", "of: String should have at least 1 character"),
    ],
)
def test_what_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        quantity(text)
    assert str(caught.value).startswith(f"quantity {text!r}: ")
