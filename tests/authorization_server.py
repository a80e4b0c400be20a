"""A real OAuth 2.0 server, django-oauth-toolkit, in one file. Arguments: the port on 127.0.0.1, a folder for its database,
and as JSON {"clients": [[id, secret], …], "scopes": [...], "life": seconds}. Says "ready" when it listens, and ends with
its standard input."""

import json
import os
import sys
import threading

from django.conf import settings

port, folder, wanted = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
settings.configure(
    SECRET_KEY="a test's",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(folder, "db.sqlite3")}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    OAUTH2_PROVIDER={
        "SCOPES": {scope: scope for scope in wanted["scopes"] + ["introspection"]},
        "DEFAULT_SCOPES": wanted["scopes"][:1],
        "ACCESS_TOKEN_EXPIRE_SECONDS": wanted["life"],
    },
)

import django

django.setup()

from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.urls import include, path
from oauth2_provider.models import Application

urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]
call_command("migrate", verbosity=0)
for name, secret in wanted["clients"]:
    Application.objects.create(
        name=name,
        client_id=name,
        client_secret=secret,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )
server = ThreadedWSGIServer(("127.0.0.1", port), WSGIRequestHandler)
server.set_app(get_wsgi_application())
threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
