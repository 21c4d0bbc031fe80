"""What the service has, by kind: each module is the requests of one."""
