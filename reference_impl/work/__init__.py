"""What the server does when nobody is waiting on a connection: jobs, and webhook deliveries."""
