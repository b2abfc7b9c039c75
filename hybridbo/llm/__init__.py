"""The language model's part, without the model: prompts out of values, values out of replies. No network."""
