"""A server that your tests can talk to: ``tornio.testing.FakeServer``. It needs no network and no installation.

>>> from tornio import Client
>>> from tornio.testing import FakeServer
>>> server = FakeServer()
>>> server.task("acme/reviews", ["praise", "complaint"])
>>> server.answer("acme/reviews", {"Great!": "praise"}, otherwise="complaint")
>>> with Client(server.url, transport=server.transport) as tornio:
...     tornio.predict("acme/reviews", ["Great!", "It broke."])[1].labels
('complaint',)
"""

from tornio.testing.answers import Choice, Rule
from tornio.testing.server import FakeServer
from tornio.testing.transport import Received

__all__ = ["Choice", "FakeServer", "Received", "Rule"]
