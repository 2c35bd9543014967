"""A command from the shell: ours, and the tutorial's script as its readers write it."""

import os
import subprocess
import sys

from worker import Contender, Options

# Each time is the first one.
FIRST = os.environ | {"JAXNOISE_CACHE": "off"}


def command(options: Options) -> Contender:
    """A script with its arguments, in a process of its own."""

    def repeat() -> None:
        arguments = [sys.executable, *options["arguments"]]
        done = subprocess.run(arguments, capture_output=True, text=True, env=FIRST)
        if done.returncode:
            sys.exit(done.stderr.strip())

    return repeat, {}


CONTENDERS = {"jaxnoise": command, "Keras": command}
