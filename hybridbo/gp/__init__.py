"""The Gaussian process: the only room with torch in it. Arrays in, configurations with predictions out."""
