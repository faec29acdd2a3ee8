"""The count of rows that the build left out is an object of numbers, or absent."""

import json
from dataclasses import replace
from typing import Any

import pytest
from device.models import Parts
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.errors import IntegrityError


@pytest.mark.parametrize("value", [0, "", [], False, {"predict": "many"}])
def test_a_count_of_another_type_is_refused(parts: Parts, value: Any) -> None:
    manifest = replace(parts.manifest, parity=replace(parts.manifest.parity, left_out={"rows": 3}))
    fields = json.loads(manifest.to_bytes())
    assert Manifest.from_bytes(json.dumps(fields).encode()).parity.left_out == {"rows": 3}
    fields["parity"]["left_out"] = value
    with pytest.raises(IntegrityError):
        Manifest.from_bytes(json.dumps(fields).encode())
