"""Memory of many pictures in one call, with an encoder that holds much while it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from semblant_search.encoder import ENCODED_AT_ONCE


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_number_of_pictures() -> None:
    code = f"""
import numpy as np
from PIL import Image
from support.encoders.wide import wide_encoder

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

encoder = wide_encoder(96)
picture = Image.fromarray(np.arange(96 * 96, dtype=np.uint8).reshape(96, 96))
encoder.encode_pictures([picture] * {ENCODED_AT_ONCE})
before = peak()
vectors = encoder.encode_pictures(picture for _ in range(200))
print(len(vectors), peak() - before)
"""
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    count, grown = map(int, done.stdout.split())
    assert count == 200
    assert grown < 150_000_000  # what ONNX Runtime keeps for chunks of another size; all of them at once take 900 MB more
