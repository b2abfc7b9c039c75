"""hybridbo inside other tools: each module here adapts the engine to one of them."""
