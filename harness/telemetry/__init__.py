"""Clocks, memory, GPUs and samples of processes.

Only the modules that count tensors import torch at the top.
"""
