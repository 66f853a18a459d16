"""Memory of many pictures in one call, with an encoder that holds much while it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from semblant_search.encoder import ENCODED_AT_ONCE

COUNTING = """
import sys
import numpy as np
from PIL import Image
from support.encoders.wide import wide_encoder

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

side, few, many = map(int, sys.argv[1:4])
encoder = wide_encoder(side)
picture = np.arange(side * side, dtype=np.uint32).astype(np.uint8).reshape(side, side)
kinds = {
    "pictures": lambda n: encoder.encode_pictures(Image.fromarray(picture) for _ in range(n)),
    "pixels": lambda n: encoder.encode(np.broadcast_to(picture[None, :, :, None], (n, side, side, 1))),
}
encode = kinds[sys.argv[4]]
encode(few)
before = peak()
print(len(encode(many)), peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize(("kind", "side", "few"), [("pictures", 96, ENCODED_AT_ONCE), ("pixels", 192, 24)])
def test_memory_does_not_grow_with_the_number_of_pictures(kind: str, side: int, few: int) -> None:
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", COUNTING, str(side), str(few), "200", kind]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    count, grown = map(int, done.stdout.split())
    assert count == 200
    assert grown < 150_000_000  # what ONNX Runtime keeps for chunks of another size; all of them at once take 900 MB more
