"""Text methods of pandas give the same for every text, or are refused by name."""

import re

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from edge_pipeline import convert
from edge_pipeline.errors import UnsupportedEstimatorError
from edge_runtime.bundle.schema import MISSING_STRING
from sklearn.preprocessing import FunctionTransformer

SAMPLE = pd.DataFrame({
    "s": pd.Series(["Braund, Mr. Owen", "rome", "  Oslo ", "-7"] * 5, dtype=object),
    "t": pd.Series(["x", "y", "z", "x"] * 5, dtype=object),
})  # fmt: skip

TEXTS = [
    "", " ", "a", "A", "Ab cD", "rome", "ROME", "  Oslo \t", "-7", "+12", "007", "1234567", "v",
    "va", "u\U0010ffff", "Braund, Mr. Owen Harris", "a, b, c, ", ", ", ",,", "a,b,,c", "x-y_z",
    "Mrs.", "straße", "İstanbul", "ſK\u212a", "ÀÉÎ õ", "日本 語", "\U0001f600a\U0001f600",
    "e\u0301", "ǆ ǅ",
    "line\nbreak", "end\n", "tab\tsep", "\u00a0wide\u3000", "\x1cfile\x85", "ªº", "don't stop",
    "a.b*c",     "ﬁne ﬀ", "aaa", "aaaa", "x" * 300, "٣٤", "²", "½", "a" * 63 + "b", "\ufeffbom",
]  # fmt: skip

METHODS = {
    "lower": lambda s: s.str.lower(),
    "upper": lambda s: s.str.upper(),
    "casefold": lambda s: s.str.casefold(),
    "swapcase": lambda s: s.str.swapcase(),
    "title": lambda s: s.str.title(),
    "capitalize": lambda s: s.str.capitalize(),
    "strip": lambda s: s.str.strip(),
    "lstrip": lambda s: s.str.lstrip(),
    "rstrip": lambda s: s.str.rstrip(),
    "strip of characters": lambda s: s.str.strip("aA,-"),
    "strip, lower": lambda s: s.str.strip().str.lower(),
    "first three": lambda s: s.str[:3],
    "last two": lambda s: s.str[-2:],
    "without the ends": lambda s: s.str[1:-1],
    "slice method": lambda s: s.str.slice(2, 5),
    "negative slice": lambda s: s.str[-5:-2],
    "first": lambda s: s.str[0],
    "second": lambda s: s.str.get(1),
    "last": lambda s: s.str[-1],
    "zfill": lambda s: s.str.zfill(6),
    "rjust": lambda s: s.str.rjust(6, "*"),
    "ljust": lambda s: s.str.ljust(4),
    "pad": lambda s: s.str.pad(5, fillchar="é"),
    "repeat": lambda s: s.str.repeat(3),
    "replace one character": lambda s: s.str.replace("a", "é日"),
    "replace a dot": lambda s: s.str.replace(".", ""),
    "replace a text": lambda s: s.str.replace("aa", "b"),
    "replace by nothing": lambda s: s.str.replace(", ", ""),
    "replace a class": lambda s: s.str.replace(r"[^a-zA-Z]", "_", regex=True),
    "replace digits": lambda s: s.str.replace(r"\d", "9", regex=True),
    "removeprefix": lambda s: s.str.removeprefix("a"),
    "removesuffix": lambda s: s.str.removesuffix(" Harris"),
    "split and take": lambda s: s.str.split(",").str[0],
    "title of a name": lambda s: s.str.split(", ").str[1].str.split(".").str[0],
    "split, take the second": lambda s: s.str.split(",").str[1].str.strip(),
    "split, take the last": lambda s: s.str.split(",").str[-1],
    "split at white space": lambda s: s.str.split().str[0],
    "split once, expanded": lambda s: s.str.split(",", n=1, expand=True)[0],
    "concatenated": lambda s: s + "_" + s,
    "constant before": lambda s: "<" + s,
    "twice": lambda s: s * 2,
    "by map": lambda s: s.map(str.lower, na_action="ignore"),
    "by a function": lambda s: s.map(lambda v: v.strip().upper()[:2], na_action="ignore"),
}

NUMBERS = {
    "len": lambda s: s.str.len(),
    "count": lambda s: s.str.count("a"),
    "words": lambda s: s.str.split().str.len(),
    "parts": lambda s: s.str.split(",").str.len(),
    "length by map": lambda s: s.map(len, na_action="ignore"),
}

FLAGS = {
    "contains a regex": lambda s: s.str.contains(r"M(?:r|rs)\.", na=False),
    "contains a text": lambda s: s.str.contains(".", regex=False, na=False),
    "contains, any case": lambda s: s.str.contains("[i-k]|s$", case=False, na=False),
    "contains digits": lambda s: s.str.contains(r"^\s*\d{2,}", na=False),
    "contains no letter": lambda s: s.str.contains("[^a-z]", case=False, na=False),
    "match": lambda s: s.str.match("[A-Z][a-z]+ ?", na=False),
    "fullmatch": lambda s: s.str.fullmatch(r"a.*|rome$|end$", na=False),
    "the end": lambda s: s.str.contains("d$", na=False),
    "startswith": lambda s: s.str.startswith("a", na=False),
    "endswith": lambda s: s.str.endswith((".", " "), na=False),
    "isdigit": lambda s: s.str.isdigit() == True,  # noqa: E712 - a missing text is no digit
    "isnumeric": lambda s: s.str.isnumeric() == True,  # noqa: E712
    "isdecimal": lambda s: s.str.isdecimal() == True,  # noqa: E712
    "isspace": lambda s: s.str.isspace() == True,  # noqa: E712
}

COMPARISONS = {
    "less": lambda s: s < "v",
    "less or equal": lambda s: s <= "va",
    "greater": lambda s: s > "Ab",
    "greater or equal": lambda s: s >= "u\U0010ffff",
    "constant on the left": lambda s: s.le("日"),
    "equal": lambda s: s == "rome",
    "not equal": lambda s: s != "rome",
    "empty": lambda s: s > "",
}


def session_of(function):
    """Convert *function* of the column ``s``."""
    transformer = FunctionTransformer(lambda df: pd.DataFrame({"out": function(df["s"])}))
    model = convert(transformer.fit(SAMPLE), SAMPLE)
    return onnxruntime.InferenceSession(model.graph, providers=["CPUExecutionProvider"])


def run(session, texts):
    """Run the graph on *texts*."""
    columns = len(SAMPLE.columns)
    block = np.array([[MISSING_STRING if t is None else t] * columns for t in texts], dtype=object)
    inputs = {i.name: block.reshape(-1, columns) for i in session.get_inputs()}
    return session.run(None, inputs)[0][:, 0].tolist()


def expected(function, texts):
    values = function(pd.Series(texts, dtype=object))
    return [MISSING_STRING if value is None or value != value else value for value in values]


@pytest.mark.parametrize("name", METHODS)
def test_a_text_method_gives_the_same_texts(name):
    texts = [*TEXTS, None]
    expected_texts = expected(METHODS[name], texts)
    session = session_of(METHODS[name])
    assert run(session, texts) == expected_texts
    assert [run(session, [text]) for text in texts] == [[text] for text in expected_texts]
    assert run(session, []) == []


@pytest.mark.parametrize("name", NUMBERS)
def test_a_text_method_gives_the_same_numbers(name):
    np.testing.assert_array_equal(
        run(session_of(NUMBERS[name]), [*TEXTS, None]),
        NUMBERS[name](pd.Series([*TEXTS, None], dtype=object)).astype(float),
    )


@pytest.mark.parametrize("name", FLAGS)
def test_a_text_predicate_gives_the_same(name):
    function = FLAGS[name]
    texts = [*TEXTS, None]
    assert run(session_of(function), texts) == function(pd.Series(texts, dtype=object)).tolist()


@pytest.mark.parametrize("name", COMPARISONS)
def test_texts_compare_as_in_python(name):
    function = COMPARISONS[name]
    assert run(session_of(function), TEXTS) == function(pd.Series(TEXTS, dtype=object)).tolist()


REFUSED = {
    "order of two columns": (lambda s: s < s, "order of two columns of text"),
    "largest": (lambda s: np.maximum(s, "v"), "Max of text has no form"),
    "extract": (lambda s: s.str.extract("([a-z])")[0], "str.extract has no form"),
    "regex replace": (lambda s: s.str.replace("a+", "b", regex=True), "str.replace is traced for"),
    "look-ahead": (lambda s: s.str.contains("a(?=b)"), "assert in the regular expression"),
    "word boundary": (lambda s: s.str.contains(r"\bMr\b"), "at_boundary in the regular"),
    "in": (lambda s: s.map(lambda v: "Mr" in v), "str.contains"),
    "to number": (lambda s: pd.to_numeric(s, errors="coerce"), "pandas.to_numeric of text"),
    "step": (lambda s: s.str[::2], "slice without a step"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_text_methods_are_refused_by_name(name):
    function, reason = REFUSED[name]
    transformer = FunctionTransformer(lambda df: pd.DataFrame({"out": function(df["s"])}))
    with pytest.raises(UnsupportedEstimatorError, match=re.escape(reason)):
        convert(transformer.fit(SAMPLE), SAMPLE)


def test_two_missing_texts_are_not_equal():
    frame = pd.DataFrame({"s": [None, "a", "b"] * 5, "t": [None, "a", "c"] * 5}, dtype=object)
    transformer = FunctionTransformer(lambda df: (df.s == df.t).to_frame().astype(float))
    model = convert(transformer.fit(frame), frame)
    session = onnxruntime.InferenceSession(model.graph)
    block = frame.fillna(MISSING_STRING).to_numpy()
    assert session.run(None, {"strings": block})[0][:3, 0].tolist() == [0.0, 1.0, 0.0]


def test_a_capital_sigma_stops_the_graph():
    """Its small letter depends on the letters around it; a wrong text is never returned."""
    assert run(session_of(METHODS["upper"]), ["σς"]) == ["ΣΣ"]
    session = session_of(METHODS["lower"])
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
        run(session, ["ΟΔΟΣ"])
