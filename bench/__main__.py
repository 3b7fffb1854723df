"""``python -m bench``."""

import sys

try:
    from bench.cli import main
except ModuleNotFoundError as missing:
    print(
        f"walredo-bench: the library {missing.name} is not installed: run `make child` and use"
        " .venv/bin/python, or pip install -r requirements.lock",
        file=sys.stderr,
    )
    sys.exit(2)
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
