"""HTTP/1.1 on gevent's loop with httptools: one timestamp per receive, taken before anything else is done."""
