"""`make trial NAME=compose`: docker-compose.yml, brought up by podman from stand-in base images, and used.

No registry is needed: the images that the files name are built from a Debian by debootstrap and from the
wheels of the embedded stack. Dockerfile and docker-compose.yml stay as they are.
"""
