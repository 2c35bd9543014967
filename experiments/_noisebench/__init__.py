"""The parts of noisebench.py."""
