"""The command line: `jaxnoise tune data.csv --target label` and its kin."""
