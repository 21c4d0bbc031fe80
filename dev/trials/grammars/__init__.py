"""`trials fuzz-grammars`: expensive grammars at the engine, and a neighbour who must not feel them."""
