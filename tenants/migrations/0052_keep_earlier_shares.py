"""Let authors' shares of the months before this one stay as they were booked. Data only."""

from django.db import migrations
from django.db.models import F
from django.utils import timezone


def keep_earlier_shares(apps, schema_editor):
    """Until now all usage earned its author a share, and what it earned may be paid out."""
    first_day = timezone.now().date().replace(day=1)
    rows = apps.get_model("tenants", "AuthorEarning").objects.filter(day__lt=first_day)
    rows.update(earned_nanousd=F("share_nanousd"), is_final=True)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0051_share_the_free_plan")]

    operations = [migrations.RunPython(keep_earlier_shares, migrations.RunPython.noop)]
