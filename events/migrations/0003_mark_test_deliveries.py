"""Mark the deliveries of tests that were made before deliveries knew them."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def mark_tests(apps: Apps, _: BaseDatabaseSchemaEditor) -> None:
    deliveries = apps.get_model("events", "WebhookDelivery").objects
    deliveries.filter(event__type="webhook.test").update(is_test=True)


class Migration(migrations.Migration):
    dependencies = [("events", "0002_deliveries_know_tests")]

    operations = [migrations.RunPython(mark_tests, migrations.RunPython.noop)]
