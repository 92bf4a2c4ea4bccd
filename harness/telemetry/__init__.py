"""Clocks, memory, GPUs, the host and its fingerprint.

Nothing here imports torch before it is asked about tensors.
"""
