"""A command from the shell: ours, and the tutorial's script as its readers write it."""

import subprocess
import sys

from worker import Contender, Options


def command(options: Options) -> Contender:
    """A script with its arguments, in a process of its own."""

    def repeat() -> None:
        arguments = [sys.executable, *options["arguments"]]
        done = subprocess.run(arguments, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr.strip())

    return repeat, {}


CONTENDERS = {"jaxnoise": command, "Keras": command}
