"""What the fork server imports once, so that a fresh process for a cell starts in milliseconds."""

import harness.cell  # noqa: F401
import harness.metrics.features  # noqa: F401
