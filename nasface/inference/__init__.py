"""Trained networks on photographs of any size: faces are found, cropped as in the evaluation, and aligned."""
