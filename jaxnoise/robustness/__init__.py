"""What a trained network stands: certificates, noise kept on, curves of noise."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["corruptions"])
