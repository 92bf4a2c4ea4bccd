"""Causal language models of Hugging Face's transformers (extra `hf`): their sizes, weights and caches."""
