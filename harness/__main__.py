"""`harness` and `python -m harness`."""

import signal
import sys

STORED = "everything finished is stored; the same command goes on"


def _stop(number: int, frame: object) -> None:
    """Answer a request to end, as from a scheduler, as Ctrl-C is answered."""
    raise KeyboardInterrupt


def main() -> None:
    """Start the command line; the user's mistakes end as one sentence and exit code 2."""
    from harness import guard
    from harness.errors import HarnessError, Interrupted

    signal.signal(signal.SIGTERM, _stop)
    try:
        guard.check()
        from harness.cli import app

        app()
    except HarnessError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    except Interrupted as stop:
        sys.stderr.write(f"interrupted: {str(stop) or STORED}\n")
        sys.exit(130)
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted: {STORED}\n")
        sys.exit(130)
    except SystemExit as ended:
        if ended.code == 130:  # Typer's silent answer to Ctrl-C
            sys.stderr.write(f"interrupted: {STORED}\n")
        raise
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
