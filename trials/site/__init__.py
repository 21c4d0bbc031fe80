"""Scripts that run inside the site's own code (Django), each in a process of its own."""
