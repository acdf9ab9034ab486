"""Training: the recipes that make the weights in models/."""
