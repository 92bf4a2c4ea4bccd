"""Text in: named corpora, a user's own files and Hugging Face data sets; tokenizers; batches of token ids."""
