"""Sessions of people who are logged in to the web page: an opaque token in a cookie stands for an API key."""
