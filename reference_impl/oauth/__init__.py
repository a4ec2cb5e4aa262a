"""OAuth 2.0: the keys that tokens are checked with, and a small authorization server for demonstration and tests."""
