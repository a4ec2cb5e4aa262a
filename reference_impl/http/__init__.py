"""HTTP plumbing between uvicorn, Connexion and the handlers: pure ASGI, safe for streams."""
