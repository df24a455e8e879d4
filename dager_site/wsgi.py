"""The web server's way in: `gunicorn dager_site.wsgi`. Each of its processes is warm before its first request."""

import os
import sys

from django.core.wsgi import get_wsgi_application

from dager_site.processes import SINGLE_THREAD, begin, into_large_pages, settle

begin()
for name, threads in SINGLE_THREAD.items():  # libraries read it as they load, which comes with the application
    os.environ.setdefault(name, threads)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dager_site.settings")
application = get_wsgi_application()

from dager_site.restore import require_whole  # noqa: E402  only now are settings and apps there
from inference.warm import warm_up  # noqa: E402

# A request goes to the database a dozen times, and after each waits for the interpreter as long as another request may
# keep it: by Python's own count 5 ms, ten times what the database takes.
sys.setswitchinterval(0.0005)
require_whole()
warm_up()
settle()
into_large_pages()
