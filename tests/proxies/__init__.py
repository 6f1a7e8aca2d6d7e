"""Real proxies before real collectors, set up as the docs say."""
