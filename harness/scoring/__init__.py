"""Scores of generated text, with statistics per sentence, so that tests can pair by sentence."""
