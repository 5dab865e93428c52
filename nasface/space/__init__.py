"""The multi-path architecture space and its path samplers. No tensors."""
