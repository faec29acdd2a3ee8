"""Any input leads to an InputError or to the prediction of plain arithmetic.

No other exception, no warning, no crash.  A row that predict_one refuses is refused in a table.
"""

import datetime
import decimal
import fractions
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from device import models
from device.tables import ROW, NotAvailable
from edge_runtime.model import Model

from edge_runtime import InputError

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

for_all = hypothesis.given
quick = hypothesis.settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
    database=None,
    derandomize=True,
)

numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(2**70), 2**70),
    st.integers(-3, 3),
    st.booleans(),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 10**400, 1e308, -1e200, 5e-324, -0.0]),
    st.floats(width=32).map(np.float32),
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.integers(0, 255).map(np.uint8),
    st.booleans().map(np.bool_),
    st.floats(width=16).map(np.float16),
)
texts = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["Paris", "Oslo", "", "\0", "a\0b", "\ufdd0", "\ud800", "1.5", "nan"]),
    st.text(max_size=3).map(np.str_),
)
other_types = st.one_of(
    st.none(),
    st.binary(max_size=3),
    st.complex_numbers(),
    st.just(decimal.Decimal("1.5")),
    st.just(fractions.Fraction(1, 3)),
    st.just(datetime.datetime(2020, 1, 1)),
    st.just(np.datetime64("2020-01-01")),
    st.just(np.timedelta64(3, "D")),
    st.just(np.datetime64("NaT", "ns")),
    st.just(np.longdouble(1.5)),
    st.just(NotAvailable()),
    st.just(object()),
    st.just(float),
    st.just(...),
    st.just(np.ma.masked),
)
cells = st.one_of(numbers, numbers, texts, other_types)
nested = st.recursive(
    cells,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.sampled_from(["x0", "x1", "x2", "y", 0, None]), inner, max_size=4),
        st.lists(inner, max_size=3).map(lambda items: as_object_array(items)),
    ),
    max_leaves=12,
)
DTYPES = [
    *("?", "i1", "u1", "i2", "u4", "i8", "u8", "f2", "f4", "f8", "g", "c8", "c16"),
    *("S3", "U3", "V2", "M8[s]", "m8[s]", "O", ">f8", ">i4"),
]


@st.composite
def arrays(draw: Any) -> Any:
    """Draw an array of any dtype, few axes and any bytes, maybe strided, reversed or read-only."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(st.sampled_from([(), (3,), (1, 3), (4, 3), (0, 3), (3, 1), (2, 2, 3), (5, 2)]))
    size = math.prod(shape)
    if dtype.kind == "O":
        items = draw(st.lists(cells, min_size=size, max_size=size))
        array = as_object_array(items).reshape(shape)
    else:
        raw = draw(st.binary(min_size=size * dtype.itemsize, max_size=size * dtype.itemsize))
        if dtype.kind == "?" or dtype.kind == "b":
            raw = bytes(byte & 1 for byte in raw)
        if dtype.kind == "U":
            raw = b"".join(
                (b % 0x110000).to_bytes(4, "little") for b in np.frombuffer(raw, "<u4").tolist()
            )
        array = np.frombuffer(raw, dtype=dtype).reshape(shape) if size else np.zeros(shape, dtype)
    match draw(st.sampled_from(["as it is", "fortran", "strided", "reversed", "writable"])):
        case "fortran":
            array = np.asfortranarray(array)
        case "strided":
            array = np.repeat(array, 2, axis=0)[::2] if array.ndim else array
        case "reversed":
            array = array[::-1] if array.ndim else array
        case "writable":
            array = array.copy()
    return array


def as_object_array(items: Sequence[Any]) -> Any:
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def as_numbers(row: Any, names: Sequence[str]) -> list[float] | None:
    """Read the row's cells by plain rules; None unless all are finite numbers."""
    if hasattr(row, "tolist"):
        row = row.tolist()
    if isinstance(row, Mapping):
        row = [row[name] for name in names] if set(row) == set(names) else None
    if not isinstance(row, list | tuple) or len(row) != len(names):
        return None
    values = []
    for cell in row:
        plain = cell.item() if isinstance(cell, np.generic) else cell
        if not isinstance(plain, bool | int | float):
            return None
        try:
            number = float(plain)
        except OverflowError:
            return None
        if number != plain or not math.isfinite(number):
            return None
        values.append(number)
    return values


def agree(model: Model, row: Any, label: Any) -> bool:
    values = as_numbers(row, model.schema.names)
    # Scores may overflow: then any label is right, but no exception.
    with np.errstate(all="ignore"):
        scores = None if values is None else models.scores([values])
        return scores is not None and (
            not np.isfinite(scores).all() or label == models.LABELS[scores.argmax()]
        )


@pytest.mark.slow
@quick
@for_all(row=nested)
def test_any_value_as_a_row_is_refused_or_predicted_right(classifier: Model, row: Any) -> None:
    try:
        label = classifier.predict_one(row)
    except InputError:
        assert as_numbers(row, classifier.schema.names) is None
    else:
        assert agree(classifier, row, label)


@quick
@for_all(X=st.one_of(nested, st.lists(st.lists(numbers, min_size=3, max_size=3), max_size=4)))
def test_any_value_as_a_table_is_refused_or_predicted_right(classifier: Model, X: Any) -> None:
    try:
        labels: Any = classifier.predict(X)
    except InputError:
        return
    rows = X
    if isinstance(X, Mapping):
        rows = list(zip(*(X[name] for name in classifier.schema.names), strict=True))
    assert len(labels) == len(rows)
    assert all(agree(classifier, row, label) for row, label in zip(rows, labels, strict=True))


@quick
@for_all(array=arrays())
def test_any_array_is_refused_or_predicted_right(classifier: Model, array: Any) -> None:
    bytes_before = array.tobytes() if array.dtype.kind != "O" else None
    for predict in (classifier.predict, classifier.predict_one):
        try:
            labels: Any = predict(array)
        except InputError:
            continue
        rows = array if array.ndim == 2 else [array]
        labels = labels if array.ndim == 2 else [labels]
        assert len(labels) == len(rows)
        assert all(agree(classifier, row, label) for row, label in zip(rows, labels, strict=True))
    assert bytes_before is None or array.tobytes() == bytes_before


@quick
@for_all(name=st.sampled_from(list(ROW)), cell=st.one_of(cells, nested))
def test_any_cell_in_a_mixed_row_is_refused_or_predicted_right(
    mixed: Model, name: str, cell: Any
) -> None:
    row = {**ROW, name: cell}
    try:
        prediction = mixed.predict_one(row)
    except InputError:
        with pytest.raises(InputError):
            mixed.predict([ROW, row])
        return
    plain: dict[str, Any] = dict(row)
    if isinstance(cell, np.generic):
        plain[name] = cell.item()
    for key in ("height", "city"):
        if plain[key] is np.ma.masked or not isinstance(plain[key], str | bool | int | float):
            plain[key] = None  # every kind of missing value
    if isinstance(plain["city"], float):
        plain["city"] = None
    # Sums of 2**53 and more depend on their order.
    assert math.isclose(prediction, models.mixed_answer([tuple(plain.values())])[0], rel_tol=1e-9)
    assert mixed.predict([ROW, row])[1] == prediction  # type: ignore[index]


@quick
@for_all(text=st.one_of(cells, nested))
def test_any_value_as_a_text_is_refused_or_predicted_right(text_model: Model, text: Any) -> None:
    try:
        prediction = text_model.predict_one(text)
    except InputError:
        assert not isinstance(text, str) or not _is_exchangeable(text)
    else:
        cells_of = text.values() if isinstance(text, Mapping) else [text]
        cell = next(iter(text if isinstance(text, list | tuple | np.ndarray) else cells_of))
        assert prediction == int(str(cell) == "spam")


def _is_exchangeable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\ufdd0" not in text
