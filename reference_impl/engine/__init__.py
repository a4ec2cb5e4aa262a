"""What produces answers. Everything above this package is the contract; this is the model behind it."""
