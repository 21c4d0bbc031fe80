"""Every check in turn: the nearest first, so that the first fault is the likeliest cause of the others."""

from collections.abc import Iterator

from kombu.exceptions import OperationalError

from operations.doctor import databases, engines, machine, queues, setup, storage, training, watermark
from operations.doctor.findings import Finding, run
from operations.monitoring.health import FAULTS

POSTGRESQL_FIX = "Start PostgreSQL or fix DATABASE_URL. Check with `docker compose ps postgres`."
VALKEY_FIX = "Start Valkey or fix VALKEY_URL and CELERY_BROKER_URL. Check with `docker compose ps valkey`."
TRAINING_FAULTS = (*FAULTS, OperationalError)
STORAGE_FIX = "Start the S3 server or fix S3_ENDPOINT_URL, S3_BUCKET and the AWS_ credentials."


def check_all() -> Iterator[Finding]:
    """Yield all findings. Nothing is changed but one object in storage, which goes again."""
    yield from setup.check_settings()
    yield from setup.check_base_model()
    yield from machine.check_disks()
    yield from machine.check_certificates()
    yield from run("PostgreSQL", databases.check_postgresql, FAULTS, POSTGRESQL_FIX)
    yield from run("migrations", databases.check_migrations, FAULTS, POSTGRESQL_FIX)
    yield from run("peppers", databases.check_peppers, FAULTS, POSTGRESQL_FIX)
    yield from run("Valkey", databases.check_valkey, FAULTS, VALKEY_FIX)
    yield from run("queues", queues.check_queues, FAULTS, VALKEY_FIX)
    yield from run("training", training.check_training, TRAINING_FAULTS, VALKEY_FIX)
    yield from run("ledger", queues.check_ledger, FAULTS, VALKEY_FIX)
    yield from run("storage", storage.check_bucket, FAULTS, STORAGE_FIX)
    yield from run("watermark", watermark.check_watermark, FAULTS, POSTGRESQL_FIX)
    yield from run("engines", engines.check_engines, FAULTS, POSTGRESQL_FIX)
