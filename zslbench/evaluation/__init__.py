"""What makes numbers comparable: splits, folds, metrics, the one evaluator, model selection."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
