"""Engines run independent cells somewhere; all of them run `harness.cell.run_cell`."""
