"""The tests, whose arithmetic is that of the stages: `stages` is imported before NumPy."""

import stages  # noqa: F401
