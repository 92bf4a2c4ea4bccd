"""What a study is: nouns, no torch."""
