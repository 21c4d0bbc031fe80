"""`make fuzz-grammars`: dear grammars at the engine, and a neighbour who must not feel them."""
