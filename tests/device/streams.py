"""A good stream for the classifier of device_models, its answers, and CSV as rows."""

import csv
import io
from collections.abc import Callable

from device import models

GOOD = b"x0,x1,x2\n1,2,3\n-1,0.5,0\n4,0,-2\n"
LABELS = models.labels([[1, 2, 3], [-1, 0.5, 0], [4, 0, -2]]).tolist()
Run = Callable[..., tuple[int, str, str]]


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))
