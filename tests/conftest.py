"""No test fails because the machine is busy: hypothesis counts no milliseconds."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
