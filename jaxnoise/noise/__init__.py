"""What noise is: pure functions of an explicit key, and thin layers over them."""
