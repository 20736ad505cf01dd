"""Sends a mail by django-forwardemail, as a Django site would: django_client.py URL TOKEN FROM TO."""

import json
import sys

import django
from django.conf import settings

url, token, sender, recipient = sys.argv[1:]
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.sites", "django_forwardemail"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    EMAIL_BACKEND="django_forwardemail.backends.ForwardEmailBackend",
    FORWARD_EMAIL_BASE_URL=url,
    SITE_ID=1,
)
django.setup()

from django.core.mail import EmailMultiAlternatives  # noqa: E402
from django.core.management import call_command  # noqa: E402

call_command("migrate", verbosity=0)

from django.contrib.sites.models import Site  # noqa: E402
from django_forwardemail.models import EmailConfiguration  # noqa: E402
from django_forwardemail.services import ForwardEmailService  # noqa: E402

site = Site.objects.get_current()
EmailConfiguration.objects.create(site=site, api_key=token, from_email=sender, from_name="Club", reply_to=sender)
answer = ForwardEmailService.send_email(
    to=recipient, subject="From Django", text="plain", html="<p>rich</p>", site=site
)
mail = EmailMultiAlternatives("By the backend", "plain too", sender, [recipient])
mail.attach_alternative("<p>rich too</p>", "text/html")
print(json.dumps({"answer": answer, "sent": mail.send()}))
