"""``python -m bench``."""

import sys

try:
    from bench import interrupts
    from bench.cli import main as cli
except ModuleNotFoundError as missing:
    print(
        f"walredo-bench: the library {missing.name} is not installed: run `make child` and use"
        " .venv/bin/python, or pip install -r requirements.lock",
        file=sys.stderr,
    )
    sys.exit(2)
except KeyboardInterrupt:
    sys.exit(130)


def main() -> int:
    """The exit status of the command line, also where an interruption hits its last lines."""
    try:
        status = cli.main()
        interrupts.uninstall()
    except KeyboardInterrupt:
        return cli.EXIT_INTERRUPTED
    return status


if __name__ == "__main__":
    sys.exit(main())
