"""All hostile inputs, and how many of them got through: python -m tests.hostile"""

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-p", "no:xdist", *(sys.argv[1:] or [str(Path(__file__).parent)])]))
