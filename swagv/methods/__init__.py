"""Methods: how a prediction is explained."""
