"""One module a command of the CLI: `add_parser` says what it takes, `run` does it and returns the exit code.

None of them imports torch before it runs.
"""
