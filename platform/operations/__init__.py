"""What operators run the service with: console, doctor, metrics, backup, seeding, checks of settings."""
