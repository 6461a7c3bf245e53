"""aigc: raw files into a generative model, and the model into checked content, with every document accounted for."""

__all__ = ["__version__"]

__version__ = "0.1.0"
