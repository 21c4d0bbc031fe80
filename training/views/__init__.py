"""Pages of trainings, under /trainings/: four steps, each at an address of its own."""
