"""How several processes, the ranks, train one model together. One file for each layout."""
