"""The web server's way in: `gunicorn dager_site.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dager_site.settings")
application = get_wsgi_application()
