"""`python -m jaxnoise`: the command line."""

from jaxnoise.command.main import main

if __name__ == "__main__":
    main(prog_name="jaxnoise")
