#!/usr/bin/env python
"""Django's command line: `python manage.py help` lists what DAGER can do."""

import os
import sys

from dager_site.command_line import main
from dager_site.processes import SINGLE_THREAD, begin

if __name__ == "__main__":
    begin()
    if sys.argv[1:2] == ["up"]:
        os.environ |= SINGLE_THREAD  # its children inherit what is loaded below
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dager_site.settings")
    main(sys.argv)
