"""What the runs show: paired statistics and pictures."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, ["plots"])
