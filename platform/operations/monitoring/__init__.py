"""What operators watch the service by: metrics, health and the doctor's findings."""
