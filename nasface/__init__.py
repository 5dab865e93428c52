"""nasface: search, train and compare neural networks for 3D face alignment."""

__version__ = "0.1.0"
