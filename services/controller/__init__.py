"""The controller: looks at the world, decides with ``tornio.loop``, acts, records. Stateless between looks."""
