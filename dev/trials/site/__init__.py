"""Scripts that run inside the site's own code: `python -m trials.site NAME` reads their arguments as JSON.

Each is a module whose function has its name. It runs with the stack's variables in a process of its own,
because the stack itself never imports Django.
"""
