"""What the fork server imports once, so that a fresh process for a cell starts in milliseconds."""

import optuna  # noqa: F401
import pyarrow.parquet  # noqa: F401

# The first optimiser of a process imports this: seconds, better spent once.
import torch._dynamo  # noqa: F401

import harness.cell
import harness.metrics.features  # noqa: F401
