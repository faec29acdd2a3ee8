"""``edge-runtime predict --flags`` adds a column that names the cells outside training."""

import csv
import io
import json
from pathlib import Path

from device.streams import LABELS, Run

STREAM = b"x0,x1,x2\n1,2,3\n-1,50,0\nbad,0,0\n4,0,-2\n"
WORDS = [
    "",
    "x1: 50.0 lies 46 above the training range, 9.2 times its span",
    "x2: -2.0 lies 1 below the training range, 0.2 times its span",
]


def test_flags_are_the_last_column_of_csv(run: Run, bundle_file: Path) -> None:
    for jobs in ("1", "2"):
        code, out, err = run("predict", bundle_file, "--flags", "--jobs", jobs, stdin=STREAM)
        rows = list(csv.reader(io.StringIO(out)))
        assert code == 1
        assert rows[0] == ["line", "prediction", "flags"]
        assert [row[0] for row in rows[1:]] == ["2", "3", "5"]
        assert [row[2] for row in rows[1:]] == WORDS
        assert "line 4: column 'x0'" in err


def test_flags_are_a_list_in_json(run: Run, bundle_file: Path) -> None:
    code, out, _ = run("predict", bundle_file, "--flags", "--json", "--proba", stdin=STREAM)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert list(rows[0]) == ["line", "prediction", "probabilities", "flags"]
    assert rows[0]["flags"] == []
    assert rows[1]["flags"] == [
        {"column": "x1", "kind": "above_range", "value": 50.0, "amount": 46.0, "spans": 9.2}
    ]


def test_without_the_option_nothing_is_flagged(run: Run, bundle_file: Path) -> None:
    code, out, _ = run("predict", bundle_file, stdin=b"x0,x1,x2\n1,2,3\n")
    assert (code, out) == (0, f"line,prediction\n2,{LABELS[0]}\n")
