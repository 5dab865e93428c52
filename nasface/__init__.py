"""nasface: search, train and compare neural networks for 3D face alignment."""
